"""Live updates, a card of the connection's page: turn them on, set them up, replace the address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import Count, Max, Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from accounts.requests import BrandRequest
from accounts.roles import Permission, requires
from leads.forms import SecretForm
from leads.hooks import address, remote
from leads.models import Campaign, Connection, Delivery, Hook


def card(connection: Connection) -> dict[str, Any]:
    """What the card shows; in the brand's scope."""
    hook: Hook | None = Hook.objects.filter(connection=connection).first()
    if hook is None:
        return {"hook": None}
    campaigns = Campaign.objects.filter(connection=connection).exclude(status="DELETED")
    left = remote.waiting(hook)
    return {
        "hook": hook,
        "hook_url": address.url_of(hook),
        "hook_secret": hook.secret.reveal() if hook.secret else "",
        "secret_form": SecretForm(),
        "received": _received(hook),
        "campaigns": campaigns.count(),
        "set_up": campaigns.count() - left.count(),
        "given_up": left.filter(hook_failures__gte=remote.GIVE_UP).count(),
    }


def _received(hook: Hook) -> dict[str, Any]:
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    rows = Delivery.objects.filter(brand_id=hook.brand_id)
    today = rows.filter(received_at__gte=midnight).aggregate(
        count=Count("pk"), failed=Count("pk", filter=Q(state=Delivery.State.PARKED))
    )
    return {"last": rows.aggregate(last=Max("received_at"))["last"], **today}


def _act(service: Callable[..., Hook], said: str) -> Callable[[BrandRequest], HttpResponse]:
    @require_POST
    @requires(Permission.MANAGE_CONNECTIONS)
    def view(request: BrandRequest) -> HttpResponse:
        service(brand_id=request.brand.pk, actor=request.user)
        messages.success(request, said)
        return redirect("leads:connection", slug=request.brand.slug)

    return view


turn_on = _act(address.turn_on, "Live updates have an address now.")
set_up = _act(address.manage, "We are setting up the webhooks of your campaigns.")
rotate = _act(address.rotate, "The address is replaced, and the old one no longer works.")


@sensitive_post_parameters("secret")
@require_POST
@requires(Permission.MANAGE_CONNECTIONS)
def secret(request: BrandRequest) -> HttpResponse:
    """Demand a secret key of every event, or no longer."""
    form = SecretForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data["secret"]
        address.set_secret(brand_id=request.brand.pk, secret=given, actor=request.user)
        messages.success(
            request, "The secret key is saved." if given else "The secret key is removed."
        )
    else:
        messages.error(request, "That is not a secret key. Copy it again from SmartLead.")
    return redirect("leads:connection", slug=request.brand.slug)
