"""The frame's navigation: a brand's pages, which of them this person may open, where we are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.template.context import Context
from django.urls import NoReverseMatch, reverse

register = template.Library()

# (name of the page, words, icon, permission that opens it, see accounts.roles)
PAGES: tuple[tuple[str, str, str, str], ...] = (
    ("accounts:overview", "Overview", "overview", "view"),
    ("leads:list", "Leads", "leads", "view"),
    ("leads:backfills", "Backfills", "backfills", "view"),
    ("billing:overview", "Billing", "billing", "view_billing"),
    ("vpn:devices", "VPN", "vpn", "view"),
    ("accounts:team", "Team", "team", "view"),
    ("accounts:settings", "Settings", "settings", "manage_brand"),
)


ACCOUNT_PAGES = (
    ("profile", "Profile", "person"),
    ("account_email", "E-mail address", "mail"),
    ("account_change_password", "Password", "key"),
    ("mfa_index", "Two-step login", "lock"),
    ("usersessions_list", "Sessions", "laptop"),
)


@dataclass(frozen=True, slots=True)
class Link:
    url: str
    label: str
    icon: str
    current: bool


@register.inclusion_tag("ui/rail_links.html", takes_context=True)
def rail_links(context: Context) -> dict[str, Any]:
    """The brand's pages that exist and that `frame_can` (absent: all) lets this person open."""
    request = context["request"]
    brand = getattr(request, "brand", None)
    links = [] if brand is None else _links(brand.slug, request.path, context.get("frame_can"))
    return {"links": links}


@register.inclusion_tag("ui/rail_links.html", takes_context=True)
def account_links(context: Context) -> dict[str, Any]:
    """The pages of a person's own account, for templates/account_frame.html."""
    path = context["request"].path
    urls = [(_address(name), label, icon) for name, label, icon in ACCOUNT_PAGES]
    return {
        "links": [Link(url, label, icon, path.startswith(url)) for url, label, icon in urls if url]
    }


def _links(slug: str, path: str, allowed: set[str] | None) -> list[Link]:
    home = _address("accounts:overview", slug)
    links = []
    for name, label, icon, permission in PAGES:
        url = _address(name, slug)
        if url is None or (allowed is not None and permission not in allowed):
            continue
        current = path == url if url == home else path.startswith(url)
        links.append(Link(url, label, icon, current))
    return links


def _address(name: str, *args: str) -> str | None:
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return None
