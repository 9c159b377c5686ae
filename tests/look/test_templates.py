"""Rules that hold for every template: the strict policy, known icons, keyboard rows, words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template import engines

from saas.embedded.commands import BASE

TEMPLATES = sorted((BASE / "templates").rglob("*.html"))
PAGES = [path for path in TEMPLATES if "email" not in path.parts and "mail" not in path.parts]
ICONS = set(re.findall(r'<symbol id="([\w-]+)"', (BASE / "static/img/icons.svg").read_text()))
INLINE = {
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*="),
    "a style element": re.compile(r"<style\b"),
    "an event attribute": re.compile(r"<[^>]*\son[a-z]+\s*="),
    "an inline script": re.compile(r"<script(?![^>]*\b(?:src=|type=\"application/json\"))"),
    "hx-on, which evaluates": re.compile(r"\bhx-on[:-]"),
    "an htmx filter, which evaluates": re.compile(r"hx-trigger=\"[^\"]*\["),
}


def name(path: Path) -> str:
    return str(path.relative_to(BASE / "templates"))


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_nothing_inline(path: Path) -> None:
    text = path.read_text()
    assert [what for what, pattern in INLINE.items() if pattern.search(text)] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_every_template_compiles(path: Path) -> None:
    engines["django"].get_template(name(path))


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_every_icon_is_in_the_sprite(path: Path) -> None:
    used = re.findall(r"\bicon\s*=?\s*\"([\w-]+)\"", path.read_text())
    assert set(used) <= ICONS


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_we_do_not_shout(path: Path) -> None:
    words = re.sub(r"\{[%#].*?[%#]\}|\{\{.*?\}\}|<!--.*?-->|<[^>]*>", "", path.read_text())
    assert "!" not in words


def test_the_500_page_needs_nothing_of_us() -> None:
    """It is shown when the database, the cache or the static files' manifest may be what broke."""
    text = (BASE / "templates/500.html").read_text()
    assert "{%" not in text
    assert "{{" not in text
    for path in re.findall(r'(?:href|src)="/static/([^"]+)"', text):
        assert (BASE / "static" / path).is_file()
