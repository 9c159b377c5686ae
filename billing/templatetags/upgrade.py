"""`{% upgrade "leads" %}…{% endupgrade %}`: a limit is met; what that means here stands inside."""

from __future__ import annotations

from typing import Any

from django import template
from django.template.context import RequestContext
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from accounts.roles import Permission, allows
from billing import entitlements, prompts
from billing.catalog import Limits

register = template.Library()


@register.simple_block_tag(takes_context=True)
def upgrade(
    context: RequestContext, content: str, limit: prompts.Limit, *, tone: str = "amber"
) -> SafeString:
    """A banner for pages of a brand, in its scope: the sentence of billing.prompts, the content,
    the next plan with a link to the prices, and a link for those who may buy it; others are told
    to ask an owner."""
    request: Any = context["request"]
    rights = entitlements.of(request.brand.pk)
    shown = {
        "prompt": prompts.of(limit, rights),
        "content": content,
        "tone": tone,
        "brand": request.brand,
        "url": reverse(prompts.page(rights), args=[request.brand.slug]),
        "may_buy": allows(request.membership.role, Permission.MANAGE_BILLING),
    }
    return render_to_string("billing/upgrade.html", shown)


@register.filter
def past(limits: Limits) -> str:
    """The history of messages that a plan includes, in words."""
    return prompts.past(limits.history_days)
