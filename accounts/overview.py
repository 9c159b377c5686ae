"""Registry of the cards on a brand's overview page; each app adds its own in ready()."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True, order=True)
class Card:
    """`context(request)` feeds `template`; it runs inside the brand's scope."""

    order: int
    template: str
    context: Callable[[HttpRequest], dict[str, Any]]


_cards: list[Card] = []


def card(order: int, template: str, context: Callable[[HttpRequest], dict[str, Any]]) -> None:
    """Add a card; lower `order` stands first."""
    _cards.append(Card(order, template, context))


def cards() -> list[Card]:
    return sorted(_cards, key=lambda c: c.order)
