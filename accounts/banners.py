"""Registry of the frame's banner: apps add what is urgent in ready(); the most urgent one shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accounts.requests import BrandRequest


@dataclass(frozen=True)
class Banner:
    """`urgency`: higher wins. `tone`: red, amber, blue. `action` labels the link to `url`."""

    urgency: int
    tone: str
    text: str
    url: str = ""
    action: str = ""


Source = Callable[[BrandRequest], Banner | None]
_sources: list[Source] = []


def source(find: Source) -> None:
    """Register `find(request)`; it opens its own scope and asks the database once at most."""
    _sources.append(find)


def of(request: BrandRequest) -> list[Banner]:
    """Return the banners of this page, the most urgent first."""
    found = [banner for find in _sources if (banner := find(request)) is not None]
    return sorted(found, key=lambda banner: -banner.urgency)
