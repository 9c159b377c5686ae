"""The pieces, as the apps' templates call them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django import forms
from django.template import Context, Template

from saas.money import Money


def render(template: str, **context: Any) -> str:
    return Template("{% load ui %}" + template).render(Context(context)).strip()


class Form(forms.Form):
    name = forms.CharField(help_text="Your colleagues see it.")
    weekly = forms.BooleanField(required=False)
    token = forms.CharField(widget=forms.HiddenInput)


def test_a_button_submits_and_a_link_leads() -> None:
    assert 'class="button primary" type="submit" name="act" value="go"' in render(
        '{% button "Go" name="act" value="go" %}'
    )
    assert '<a class="button quiet" href="/x/?a=1&amp;b=2">' in render(
        '{% button "Go" href=url %}', url="/x/?a=1&b=2"
    )


def test_further_keywords_become_attributes_and_are_escaped() -> None:
    html = render('{% button "Go" hx_post=url data_dialog_open="d" disabled=True %}', url='/"x"/')

    assert 'hx-post="/&quot;x&quot;/"' in html
    assert 'data-dialog-open="d"' in html
    assert " disabled" in html


def test_a_field_is_tied_to_its_help_and_its_error() -> None:
    html = render("{% field form.name %}", form=Form({"name": ""}))

    assert '<label class="field-label" for="id_name">' in html
    assert 'aria-invalid="true"' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_name_error"' in html
    assert "This field is required." in html


def test_form_fields_show_the_forms_own_errors_and_keep_hidden_fields() -> None:
    form = Form({"name": "Ada", "token": "t"})
    form.add_error(None, "We couldn't save <this>.")

    html = render("{% form_fields form %}", form=form)

    assert "We couldn&#x27;t save &lt;this&gt;." in html
    assert '<input type="hidden" name="token"' in html
    assert 'class="check' in html


def test_blocks_keep_what_is_inside_and_escape_what_is_not() -> None:
    html = render("{% card title %}<p>{{ text }}</p>{% endcard %}", title="<b>", text="<i>")

    assert "<h2>&lt;b&gt;</h2>" in html
    assert "<p>&lt;i&gt;</p>" in html


def test_progress_knows_how_far_or_says_that_it_counts() -> None:
    known = render('{% progress 500 2000 label="Leads" %}')
    unknown = render('{% progress None 2000 label="Leads" %}')

    assert '<progress value="500" max="2000" aria-label="Leads">' in known
    assert "500 of 2\u202f000 · 25 %" in known
    assert '<progress max="2000" aria-label="Leads">' in unknown
    assert "counting" in unknown


def test_a_chart_without_data_says_what_will_be_there() -> None:
    assert "After your first import." in render(
        '{% chart_line points label="Rate" empty="After your first import." %}', points=[]
    )


def test_a_pager_of_one_page_is_nothing() -> None:
    assert render("{% pager '' '' %}") == ""
    assert 'rel="next" href="?after=7"' in render('{% pager "" "?after=7" %}')


@time_machine.travel(datetime(2026, 3, 12, 12, 0, tzinfo=UTC), tick=False)
def test_a_moment_is_relative_with_the_exact_one_on_hover() -> None:
    assert render("{{ at|ago }}", at=datetime(2026, 3, 12, 11, 48, tzinfo=UTC)) == (
        '<time datetime="2026-03-12T11:48:00+00:00" title="12 Mar 2026, 11:48:00 UTC" data-ago>'
        "12 min ago</time>"
    )
    assert render("{{ at|ago }}", at=None) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ('{{ 4900|money:"USD" }}', "$49.00"),
        ('{{ 4900|money:"JPY" }}', "¥4,900"),
        ("{{ amount|money }}", "€12.50"),
        ('{{ prices|in_currency:"usd" }}', "$49"),
        ('{{ prices|in_currency:"eur" }}', "€45.50"),
        ('{{ prices|in_currency:"chf" }}', "\N{EN DASH}"),
        ("{{ 7384|duration }}", "2 h 3 min"),
        ("{{ 1234567|grouped }}", "1\u202f234\u202f567"),
    ],
)
def test_amounts(expression: str, words: str) -> None:
    context = {"amount": Money(1250, "eur"), "prices": {"usd": 4900, "eur": 4550}}
    assert render(expression, **context) == words
