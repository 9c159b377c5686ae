"""Pages of a person outside of any brand: home, a new brand, an invitation, the profile."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts import brands, invitations, limits, people, signup
from accounts.forms import NewBrandForm, ProfileForm
from accounts.requests import PersonRequest
from saas.errors import Refused

LAST_BRAND = "last_brand"


@login_required
@require_GET
def home(request: PersonRequest) -> HttpResponse:
    """Send the person to the brand they were in last, or to make one; staff to the console."""
    try:
        slug = signup.settle(request.user)
    except Refused as refusal:
        messages.warning(request, refusal.message)
        return redirect("home")
    if slug:
        return redirect("accounts:overview", slug)
    places = [place.slug for place in brands.places(request.user)]
    if not places:
        return redirect("admin:index" if request.user.is_staff else "brand_new")
    last = request.session.get(LAST_BRAND)
    return redirect("accounts:overview", last if last in places else places[0])


@login_required
@require_http_methods(["GET", "POST"])
def brand_new(request: PersonRequest) -> HttpResponse:
    form = NewBrandForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        limits.count(request, "brands", "20/h")
        try:
            brand = brands.create(**form.cleaned_data, owner=request.user)
        except Refused as refusal:
            form.add_error(None, refusal.message)
        else:
            return redirect("accounts:overview", brand.slug)
    context = {
        "form": form,
        "first": not brands.places(request.user),
        "trial": brands.starts_on_trial(request.user),
    }
    return render(request, "accounts/brand_new.html", context)


@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind an invitation's link: shows the offer, and takes it."""
    offer = invitations.look_up(token)
    if request.method == "POST":
        return _answer(request, token, offer)
    mine = request.user.is_authenticated and request.user.email == offer.email.lower()
    if mine and offer.state == "accepted":
        return redirect("home")
    context = {
        "offer": offer,
        "mine": mine,
        "login_url": f"{reverse('account_login')}?{urlencode({'next': request.path})}",
    }
    status = 200 if offer.state == "open" else 410
    return render(request, "accounts/invitation.html", context, status=status)


def _answer(request: HttpRequest, token: str, offer: invitations.Offer) -> HttpResponse:
    if request.POST.get("action") == "log_out":
        logout(request)
        return redirect("invitation", token)
    if request.user.is_authenticated:
        try:
            return redirect("accounts:overview", invitations.accept(token, user=request.user))
        except Refused as refusal:
            messages.error(request, refusal.message)
            return redirect("invitation", token)
    if offer.state == "open":
        # The link came by mail to this address, so who holds it has shown that it is theirs.
        request.session[signup.SESSION_KEY] = token
        get_adapter().stash_verified_email(request, offer.email.lower())
        return redirect("account_signup")
    return redirect("invitation", token)


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: PersonRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        people.update_profile(request.user, **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("profile")
    places = brands.places(request.user)
    return render(request, "accounts/profile.html", {"form": form, "places": places})


@login_required
@require_GET
def profile_export(request: PersonRequest) -> HttpResponse:
    """What we hold about the person themselves, as one small JSON file."""
    response = JsonResponse(people.held_about(request.user), json_dumps_params={"indent": 2})
    response["Content-Disposition"] = 'attachment; filename="harbor-profile.json"'
    return response
