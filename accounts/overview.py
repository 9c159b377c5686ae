"""Registries of a brand's overview page: its cards, and the steps of "getting started".

Each app adds its own in ready(). Everything here runs inside the brand's scope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.urls import reverse

from accounts.requests import BrandRequest
from accounts.roles import Permission, allows

CardContext = Callable[[BrandRequest], dict[str, Any] | None]


@dataclass(frozen=True)
class Card:
    """`context(request)` feeds `template`; None hides the card from this person."""

    order: int
    template: str
    context: CardContext


@dataclass(frozen=True)
class Step:
    """One thing to do in a new brand; shown to those who may do it."""

    order: int
    label: str
    url_name: str
    done: Callable[[BrandRequest], bool]
    permission: Permission


_cards: list[Card] = []
_steps: list[Step] = []


def card(order: int, template: str, context: CardContext) -> None:
    """Add a card; lower `order` stands first."""
    _cards.append(Card(order, template, context))


def step(
    order: int,
    label: str,
    url_name: str,
    done: Callable[[BrandRequest], bool],
    *,
    permission: Permission = Permission.VIEW,
) -> None:
    """Add a step of "getting started"; `url_name` takes the brand's slug."""
    _steps.append(Step(order, label, url_name, done, permission))


def cards() -> list[Card]:
    return sorted(_cards, key=lambda c: c.order)


def steps() -> list[Step]:
    return sorted(_steps, key=lambda s: s.order)


def draw(request: BrandRequest) -> list[str]:
    """Render the cards that this person sees, in order."""
    drawn: list[str] = []
    for entry in cards():
        values = entry.context(request)
        if values is not None:
            drawn.append(render_to_string(entry.template, values, request=request))
    return drawn


def getting_started(request: BrandRequest) -> list[dict[str, Any]]:
    """Return the person's steps as label, url and done; empty once all are done."""
    role = request.membership.role
    mine = [entry for entry in steps() if allows(role, entry.permission)]
    drawn = [
        {
            "label": entry.label,
            "url": reverse(entry.url_name, args=[request.brand.slug]),
            "done": entry.done(request),
        }
        for entry in mine
    ]
    return [] if all(one["done"] for one in drawn) else drawn
