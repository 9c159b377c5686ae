"""Template context of the frame: the person's brands, what they may do, banners."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from accounts import banners
from accounts.roles import PERMISSIONS


def frame(request: HttpRequest) -> dict[str, Any]:
    """Give `frame_brands`, `frame_can` and `frame_banners` on pages of a brand."""
    membership = getattr(request, "membership", None)
    if membership is None:
        return {}
    return {
        "frame_brands": request.places,  # type: ignore[attr-defined]
        "frame_can": {str(p) for p in PERMISSIONS.get(membership.role, frozenset())},
        "frame_banners": banners.of(request),  # type: ignore[arg-type]
    }
