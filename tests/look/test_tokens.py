"""The tokens: text stands out from its ground in both themes (WCAG AA)."""

from __future__ import annotations

import re
from itertools import product

import pytest

from saas.embedded.commands import BASE

TOKENS = (BASE / "static/css/tokens.css").read_text()
PAIR = re.compile(r"--([\w-]+):\s*light-dark\((#\w{6}),\s*(#\w{6})\)")
PAIRS = {name: (light, dark) for name, light, dark in PAIR.findall(TOKENS)}
WHITE = ("#ffffff", "#ffffff")

TONES = ("green", "amber", "red", "blue", "grey")
PLAIN = ("page", "surface", "rail", "sunken", "hover")
TEXT = [
    *product(("text", "text-2", "text-3", "accent-text"), PLAIN),
    *product(("text", "text-2"), ("selected", "accent-soft", "grey-soft")),
    ("accent-text", "accent-soft"),
    *((tone, ground) for tone in TONES for ground in ("surface", "page", f"{tone}-soft")),
    *(("text", f"{tone}-soft") for tone in TONES),
    *product(("on-accent",), ("accent", "accent-hover", "danger", "danger-hover")),
]
EDGES = list(product(("edge", "focus"), ("surface", "page")))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def of(name: str, theme: int) -> str:
    return (WHITE if name == "on-accent" else PAIRS[name])[theme]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_can_be_read(ink: str, ground: str, theme: int) -> None:
    assert contrast(of(ink, theme), of(ground, theme)) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("edge", "ground"), EDGES)
def test_controls_and_focus_can_be_seen(edge: str, ground: str, theme: int) -> None:
    assert contrast(of(edge, theme), of(ground, theme)) >= 3
