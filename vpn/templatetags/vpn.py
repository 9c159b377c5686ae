"""Words for amounts of data and for the state of a device."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from saas.templatetags.ui import pill

register = template.Library()

NARROW_SPACE = "\u202f"
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
STATES = {
    "connected": ("Connected", "green", "done"),
    "idle": ("Not connected", "grey", "dot"),
    "new": ("Not connected yet", "blue", "info"),
    "suspended": ("Suspended", "amber", "pause"),
    "revoked": ("Revoked", "red", "stop"),
}


@register.filter
def data_size(count: int | None) -> str:
    """Bytes for a person, in decimal units: 38200000000 is "38.2 GB"."""
    value, unit = scaled(count or 0)
    text = f"{value:.0f}" if unit == "B" or value >= 100 else f"{value:.1f}"
    return f"{text}{NARROW_SPACE}{unit}"


@register.simple_tag
def device_pill(status: str) -> SafeString:
    """The state of a device, as `vpn.models.status_of` names it."""
    label, tone, icon = STATES[status]
    return pill(label, tone=tone, icon=icon)


def scaled(count: float) -> tuple[float, str]:
    """Return `count` bytes in the largest unit of which there is at least one."""
    value, step = float(count), 0
    while value >= 999.5 and step < len(UNITS) - 1:
        value, step = value / 1000, step + 1
    return value, UNITS[step]
