"""The pieces of the interface as template tags. Most draw a partial of templates/ui/; those that a
page shows a hundred times draw themselves.

Any further keyword of `button` becomes an attribute, with dashes for underscores: `hx_post=url` is
`hx-post="…"`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from django import template
from django.forms import BoundField, Form
from django.forms.utils import flatatt
from django.forms.widgets import CheckboxInput
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from saas import charts, wording
from saas.money import Money

register = template.Library()

TONE_ICONS = {"green": "done", "amber": "warning", "red": "alert", "blue": "info", "grey": "dot"}
DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
BANNER_ICONS = {**TONE_ICONS, "grey": "info"}


@register.simple_tag
def icon(name: str, *, label: str = "") -> SafeString:
    """An icon of static/img/icons.svg: decoration, unless `label` says what it stands for."""
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"></use></svg>',
            label, _sprite(), name,
        )  # fmt: skip
    return _icon(name)


@cache
def _sprite() -> str:
    return static("img/icons.svg")


@cache
def _icon(name: str) -> SafeString:
    """The icon as decoration: a list shows the same few a hundred times."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"></use></svg>', _sprite(), name
    )


@register.simple_tag
@lru_cache(maxsize=1024)
def button(
    label: str,
    *,
    href: str = "",
    variant: str = "",
    icon: str = "",
    **attributes: Any,
) -> SafeString:
    """A link when `href` is given, else a button that submits (`type="button"` for scripts).

    Variants: primary, quiet, danger, plain. Without one, what submits is primary, the rest quiet.
    """
    kind = attributes.pop("type", "submit")
    look = variant or ("quiet" if href or kind == "button" else "primary")
    drawing = "<a{}>{}{}</a>" if href else "<button{}>{}{}</button>"
    given = {"class": f"button {look}", **({"href": href} if href else {"type": kind})}
    return format_html(
        drawing, flatatt(given) + _attributes(attributes), _icon(icon) if icon else "", label
    )


@register.inclusion_tag("ui/field.html")
def field(bound: BoundField, *, label: str = "", extra: str = "") -> dict[str, Any]:
    """A form's field with label, help and errors; `extra` adds a class (grow, half) in rows."""
    label = label or str(bound.label)
    attributes = bound.field.widget.attrs
    if bound.label and str(bound.label).lower() in str(attributes.get("placeholder", "")).lower():
        del attributes["placeholder"]  # it would only say again what the label says
    return {
        "field": bound,
        "label": label,
        "extra": extra,
        "is_check": isinstance(bound.field.widget, CheckboxInput),
    }


@register.inclusion_tag("ui/form_fields.html")
def form_fields(form: Form) -> dict[str, Any]:
    """The form's own errors, then all of its fields."""
    return {"form": form}


@register.simple_tag
@lru_cache(maxsize=512)  # a list shows the same few again and again
def pill(label: str, *, tone: str = "grey", icon: str = "") -> SafeString:
    shown = _icon(icon or TONE_ICONS.get(tone, "dot"))
    return format_html('<span class="pill {}">{}{}</span>', tone, shown, label)


@register.simple_block_tag
def card(
    content: str, title: str = "", *, hint: str = "", href: str = "", more: str = "", tone: str = ""
) -> SafeString:
    """A framed part of the page; `href` and `more` link from its head, `tone="danger"` warns."""
    return _block("card", locals())


@register.inclusion_tag("ui/stat.html")
def stat(
    label: str,
    value: object,
    *,
    hint: str = "",
    unit: str = "",
    spark: Sequence[float] | None = None,
    trend: str = "",
) -> dict[str, Any]:
    """One figure. A number is grouped; `trend` is text like "+12 %", green or red by its sign."""
    return {
        "label": label,
        "value": grouped(value),
        "hint": hint,
        "unit": unit,
        "spark": charts.spark(spark) if spark else None,
        "trend": trend,
        "direction": "down" if trend.startswith(("-", MINUS)) else "up",
    }


@register.inclusion_tag("ui/progress.html")
def progress(
    value: float | None,
    goal: float,
    *,
    label: str = "",
    note: str = "",
    unit: str = "",
    tone: str = "",
) -> dict[str, Any]:
    """How far something is; `note` says rate and time left; None means "not known yet"."""
    share = min(value / goal, 1) if value is not None and goal else None
    return {
        "value": value,
        "max": goal or 1,
        "percent": f"{int(share * 100)} %" if share is not None else "",
        "label": label,
        "note": note,
        "unit": unit,
        "tone": tone,
    }


@register.simple_block_tag
def banner(content: str, tone: str = "blue", *, icon: str = "") -> SafeString:
    return _block("banner", {**locals(), "icon": icon or BANNER_ICONS.get(tone, "info")})


@register.simple_block_tag
def empty(content: str, title: str, text: str = "", *, icon: str = "search") -> SafeString:
    """What stands where nothing is: says so, says why, and offers the next step in its block."""
    return _block("empty", locals())


@register.simple_block_tag
def dialog(content: str, name: str, title: str) -> SafeString:
    """Opened by `<button type="button" data-dialog-open="NAME">`, closed by `data-dialog-close`."""
    return _block("dialog", locals())


@register.inclusion_tag("ui/copy.html")
def copy(text: str, *, label: str = "Copy") -> dict[str, str]:
    return {"text": text, "label": label}


@register.inclusion_tag("ui/code.html")
def code(text: str, *, label: str = "Code") -> dict[str, str]:
    return {"text": text, "label": label}


@register.inclusion_tag("ui/pager.html")
def pager(
    prev_url: str | None = "", next_url: str | None = "", *, note: str = ""
) -> dict[str, Any]:
    """Steps through pages by key; draws nothing when there is only one page and no note."""
    return {"prev_url": prev_url, "next_url": next_url, "note": note}


@register.simple_block_tag
def timeline(content: str) -> SafeString:
    """A list of `{% event %}` blocks, newest or oldest first as given."""
    return _block("timeline", locals())


@register.simple_block_tag
def event(
    content: str,
    title: str,
    *,
    when: datetime | None = None,
    tone: str = "grey",
    icon: str = "",
) -> SafeString:
    return _block("event", {**locals(), "icon": icon or TONE_ICONS.get(tone, "dot")})


@register.inclusion_tag("ui/chart_line.html")
def chart_line(
    points: Sequence[charts.Point], *, label: str, unit: str = "", empty: str = ""
) -> dict[str, Any]:
    """Points are (datetime or number, number), sorted. `empty` says what will stand here later."""
    return {"chart": charts.line(points, label=label, unit=unit), "label": label, "empty": empty}


@register.inclusion_tag("ui/chart_bars.html")
def chart_bars(
    rows: Sequence[tuple[str, float]],
    *,
    label: str,
    unit: str = "",
    empty: str = "",
    caption: bool = True,
    shares: bool = True,
) -> dict[str, Any]:
    """`shares`: what part of the whole each bar is, where the whole means something."""
    return {
        "bars": charts.bars(rows),
        "label": label,
        "unit": unit,
        "empty": empty,
        "caption": caption,
        "shares": shares,
    }


@register.filter
def grouped(value: object) -> str:
    """1234567 becomes "1 234 567"; what is no number stays as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return charts.grouped(value)


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """A moment relative to now, the exact one on hover; a dash for none. The page refreshes it."""
    if moment is None:
        return DASH
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}, {}" data-ago>{}</time>',
        local.isoformat(timespec="seconds"),
        wording.day(local.date(), "j M Y"),
        local.strftime("%H:%M:%S %Z"),
        wording.ago(local, timezone.now()),
    )


@register.filter
def duration(seconds: float | timedelta | None) -> str:
    """Seconds (or a timedelta) in two units at most; a dash for none."""
    if seconds is None:
        return DASH
    return wording.duration(
        seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    )


@register.filter
def spoken(name: str) -> str:
    """A column's name as a person says it: "job_title" becomes "Job title"."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


@register.filter
def browser(user_agent: str) -> str:
    return wording.browser(user_agent)


@register.filter
def money(amount: object, currency: str = "") -> str:
    """A Money, or minor units with their currency (`4900|money:"USD"`), in the reader's locale."""
    value = amount if isinstance(amount, Money) else None
    if value is None and isinstance(amount, int) and currency:
        value = Money(amount, currency)
    return value.format(get_language() or "en") if value else DASH


@register.filter
def in_currency(prices: Mapping[str, int], currency: str) -> str:
    """The price in `currency` out of a plan's {currency: minor units}; a dash when it has none.

    A round price stands without its zeros: "$49", not "$49.00".
    """
    return re.sub(r"[.,]00(?!\d)", "", money(prices.get(currency), currency))


def _block(name: str, context: Mapping[str, object]) -> SafeString:
    return render_to_string(f"ui/{name}.html", dict(context))


def _attributes(given: Mapping[str, object]) -> SafeString:
    shown = {name.replace("_", "-"): value for name, value in given.items()}
    return flatatt({name: value for name, value in shown.items() if value not in (None, "", False)})
