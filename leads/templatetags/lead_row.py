"""A row of the list, written in one piece: fifty of them through the template language take as long
as everything else on the page."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from leads.search import Row
from saas.templatetags.ui import ago, pill

register = template.Library()

TICK = (
    '<td class="tick"><input type="checkbox" name="lead" value="{}" form="bulk"'
    ' aria-label="Tick {}"></td>'
)
ROW = (
    '<tr>{}<td class="title"><a class="row-title" data-row href="{}">{}</a>{}{}</td>'
    '<td data-label="Company">{}</td><td data-label="Status">{}</td>'
    '<td data-label="Category">{}</td><td data-label="Replied">{}</td>'
    '<td class="num" data-label="{}">{}</td></tr>\n'
)
BELOW = '<span class="sub one-line" title="{0}">{0}</span>'
TAG = '<a class="tag" href="?tag={}">{}</a>'


@register.simple_tag
def lead_row(shown: dict[str, Any], at_label: str, may_work: bool) -> SafeString:
    """The `<tr>` of one of leads.views.leads' rows."""
    lead: Row = shown["lead"]
    return format_html(
        ROW,
        format_html(TICK, shown["number"], lead.email) if may_work else "",
        shown["url"],
        lead.name or lead.email,
        format_html(BELOW, lead.email) if lead.name else "",
        _tags(shown["tags"]) if shown["tags"] else "",
        lead.company,
        _status(shown["status"], shown["tone"], lead.unsubscribed),
        shown["category"] or "",
        pill("Replied", tone="green", icon="reply") if lead.replied else "",
        at_label,
        ago(shown["at"]),
    )


def _status(label: str, tone: str, unsubscribed: bool) -> SafeString:
    status = pill(label, tone=tone)
    return (
        format_html("{} {}", status, pill("Unsubscribed", tone="red")) if unsubscribed else status
    )


def _tags(tags: Any) -> SafeString:
    named = format_html_join("", TAG, ((str(tag.pk), tag.name) for tag in tags))
    return format_html('<span class="tags">{}</span>', named)
