"""`{{ currency|taxed }}`: whether prices in a currency are before tax or hold it."""

from __future__ import annotations

from django import template

from billing import catalog

register = template.Library()


@register.filter
def taxed(currency: str) -> str:
    return "with tax" if catalog.tax_included(currency) else "before tax"
