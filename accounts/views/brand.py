"""Pages of a brand: overview, team, settings, data."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import brands, invitations, limits, overview, privacy, seats, team
from accounts.forms import BrandForm, DeleteBrandForm, InviteForm, RoleForm, role_choices
from accounts.models import Brand, Invitation, Membership
from accounts.requests import BrandRequest
from accounts.roles import Permission, Role, allows, requires
from accounts.views.people import LAST_BRAND
from saas.errors import Refused
from saas.tenancy import scope

INVITATIONS = "invitations"  # sent, by one person in all their brands: each is a mail to somebody


@requires(Permission.VIEW)
@require_GET
def overview_page(request: BrandRequest) -> HttpResponse:
    if request.session.get(LAST_BRAND) != request.brand.slug:
        request.session[LAST_BRAND] = request.brand.slug
    steps = overview.getting_started(request)
    context = {
        "steps": steps,
        "steps_done": sum(step["done"] for step in steps),
        "cards": overview.draw(request),
    }
    return TemplateResponse(request, "accounts/overview.html", context)


@requires(Permission.VIEW)
@require_http_methods(["GET"])
def team_page(request: BrandRequest) -> HttpResponse:
    return _team(request, _invite_form(request))


@requires(Permission.MANAGE_TEAM)
@require_POST
def invite(request: BrandRequest) -> HttpResponse:
    form = _invite_form(request)
    if not form.is_valid():
        return _team(request, form)
    limits.count(request, INVITATIONS, "50/h")
    try:
        team.invite(**form.cleaned_data, actor=request.user)
    except Refused as refusal:
        form.add_error("email", refusal.message)
        return _team(request, form)
    messages.success(request, f"We sent an invitation to {form.cleaned_data['email']}.")
    return redirect("accounts:team", request.brand.slug)


def _invite_form(request: BrandRequest) -> InviteForm:
    return InviteForm(request.POST or None, owners=request.membership.role == Role.OWNER)


def _team(request: BrandRequest, form: InviteForm) -> HttpResponse:
    is_owner = request.membership.role == Role.OWNER
    context = {
        "form": form,
        "members": team.members(),
        "seats": seats.of(request.brand.pk),
        "invitations": team.open_invitations(),
        "roles": role_choices(owners=is_owner),
        "is_owner": is_owner,
        "may_manage": allows(request.membership.role, Permission.MANAGE_TEAM),
        "now": timezone.now(),
    }
    status = 422 if form.is_bound else 200
    return TemplateResponse(request, "accounts/team.html", context, status=status)


@requires(Permission.MANAGE_TEAM)
@require_POST
def invitation_resend(request: BrandRequest, pk: int) -> HttpResponse:
    invitation = get_object_or_404(Invitation.objects.all(), pk=pk)
    limits.count(request, INVITATIONS, "50/h")
    team.invite_again(invitation, actor=request.user)
    messages.success(request, f"We sent the invitation to {invitation.email} again.")
    return redirect("accounts:team", request.brand.slug)


@requires(Permission.MANAGE_TEAM)
@require_POST
def invitation_revoke(request: BrandRequest, pk: int) -> HttpResponse:
    rows = Invitation.objects.select_for_update(of=("self",))
    invitation = get_object_or_404(rows, pk=pk)
    invitations.revoke(invitation, actor=request.user)
    messages.success(request, f"The invitation to {invitation.email} no longer works.")
    return redirect("accounts:team", request.brand.slug)


@requires(Permission.MANAGE_TEAM)
@require_POST
def member_role(request: BrandRequest, pk: int) -> HttpResponse:
    member = get_object_or_404(Membership.objects.select_related("user"), pk=pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise Refused("unknown_role", "Choose one of the roles.")
    team.change_role(member, role=form.cleaned_data["role"], actor=request.user)
    role = Role(member.role).label.lower()
    messages.success(request, f"{member.user.get_full_name()} is {role} now.")
    return redirect("accounts:team", request.brand.slug)


@requires(Permission.MANAGE_TEAM)
@require_POST
def member_remove(request: BrandRequest, pk: int) -> HttpResponse:
    member = get_object_or_404(Membership.objects.select_related("user"), pk=pk)
    name = member.user.get_full_name()
    team.remove(member, actor=request.user)
    messages.success(request, f"{name} is no longer in the team.")
    return redirect("accounts:team", request.brand.slug)


@requires(Permission.VIEW)
@require_POST
def leave(request: BrandRequest) -> HttpResponse:
    member = get_object_or_404(Membership.objects.all(), pk=request.membership.pk)
    team.remove(member, actor=request.user)
    messages.success(request, f"You left {request.brand.name}.")
    return redirect("home")


@requires(Permission.MANAGE_BRAND)
@require_http_methods(["GET", "POST"])
def settings_page(request: BrandRequest) -> HttpResponse:
    brand = Brand.objects.get(pk=request.brand.pk)
    form = BrandForm(request.POST or None, instance=brand)
    if request.method == "POST" and form.is_valid():
        brands.update(request.brand, **form.cleaned_data, actor=request.user)
        messages.success(request, "Saved.")
        return redirect("accounts:settings", request.brand.slug)
    return _settings(request, form, DeleteBrandForm(brand=request.brand))


def _settings(
    request: BrandRequest, form: BrandForm, deletion: DeleteBrandForm
) -> TemplateResponse:
    context = {
        "form": form,
        "deletion": deletion,
        "figures": [(noun, number) for noun, number in privacy.figures() if number],
        "may_delete": allows(request.membership.role, Permission.DELETE_BRAND),
    }
    status = 422 if form.is_bound or deletion.is_bound else 200
    return TemplateResponse(request, "accounts/settings.html", context, status=status)


@requires(Permission.MANAGE_BRAND, scoped=False)
@require_GET
def export(request: BrandRequest) -> StreamingHttpResponse:
    """Everything held for the brand, as a zip that streams."""
    privacy.note_export(request.brand, actor=request.user)
    response = StreamingHttpResponse(
        privacy.export(request.brand.pk), content_type="application/zip"
    )
    day = timezone.now().date().isoformat()
    name = f"{request.brand.slug}-{day}.zip"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@requires(Permission.DELETE_BRAND, scoped=False)
@require_POST
def delete(request: BrandRequest) -> HttpResponse:
    deletion = DeleteBrandForm(request.POST, brand=request.brand)
    if not deletion.is_valid():
        with scope(request.brand):
            brand = Brand.objects.get(pk=request.brand.pk)
            return _settings(request, BrandForm(instance=brand), deletion).render()
    privacy.prepare_erasure(request.brand.pk)
    with scope(request.brand):
        privacy.request_erasure(request.brand, actor=request.user)
    messages.success(request, f"{request.brand.name} is closed. Its data is being deleted now.")
    return redirect("home")
