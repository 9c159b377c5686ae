"""People are invented from a seed: always the same, from everywhere, with an address each."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.smartlead.people import Crowd
from sandbox.smartlead.places import PLACES, fold
from sandbox.smartlead.words import ENDINGS, STEMS, STYLES

NUMBERS = st.integers(min_value=0, max_value=100_000_000)


def test_a_seed_gives_the_same_people_in_every_process() -> None:
    script = (
        "from sandbox.smartlead.people import Crowd;"
        "print([ascii(Crowd('demo').person(n)) for n in (0, 77, 9_999_999)])"
    )
    command = [sys.executable, "-c", script]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert elsewhere.strip() == str([ascii(Crowd("demo").person(n)) for n in (0, 77, 9_999_999)])


def test_the_demo_account_opens_with_the_person_that_screenshots_show() -> None:
    person = Crowd("demo").person(0)
    assert (person.first_name, person.last_name) == ("Saga", "Hägglund")
    assert person.email == "saga-hagglund@spruceshopdigital.example"
    assert person.company.name == "Spruceshop Digital"


@given(NUMBERS, st.sampled_from(["demo", "a", "another-seed"]))
def test_an_address_leads_back_to_its_person(number: int, seed: str) -> None:
    crowd = Crowd(seed)
    assert crowd.find(crowd.person(number).email) == number
    assert crowd.find(crowd.person(number).email.upper()) == number


@pytest.mark.parametrize(
    "email",
    [
        "", "@", "nobody", "nobody@", "a@b.c", "x.y@spruceshopdigital.example",
        "saga-hagglund@spruceshopdigital0.example", "saga-hagglund@spruceshopdigital.com",
        "saga-hagglund@spruceshopdigital99999999999999999999.example",
    ],
)  # fmt: skip
def test_an_unknown_address_leads_nowhere(email: str) -> None:
    assert Crowd("demo").find(email) is None


def test_no_address_occurs_twice() -> None:
    crowd = Crowd("demo")
    assert len({crowd.person(number).email for number in range(40_000)}) == 40_000


def test_no_two_company_names_make_the_same_domain() -> None:
    names = [f"{s.lower()}{e}{style}" for s in STEMS for e in ENDINGS for style, _ in STYLES]
    assert len(set(names)) == len(names)


def test_every_name_has_an_ascii_form_for_its_address() -> None:
    names = [name for place in PLACES for name in (*place.first, *place.last)]
    assert [name for name in names if not name.ascii or fold(name.ascii) != name.ascii] == []


def test_people_come_from_many_countries_and_write_their_names_in_many_scripts() -> None:
    people = [Crowd("demo").person(number) for number in range(2000)]
    assert {person.company.place.country for person in people} == {p.country for p in PLACES}
    assert any("\u0590" <= person.first_name[0] <= "\u06ff" for person in people)
    assert any(person.last_name[0] >= "\u4e00" for person in people)
    assert any("'" in person.last_name for person in people)
    assert all(person.email.isascii() for person in people)
