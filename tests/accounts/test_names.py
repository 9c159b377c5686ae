"""Names stand in other people's mails: one rule for what they hold, wherever they are typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.models import Brand
from accounts.names import validate_name

pytestmark = pytest.mark.django_db

WORDS = "Use letters, digits and ordinary signs."
UNSEEN = ["Eve\u202eecila", "Eve\u200b", "Eve\x07", "Eve\u2066", "\ufeffEve"]


@pytest.mark.parametrize("name", ["Zoë O'Neil-Ωmega", "Łukasz 2.0", "山田 太郎", "שרה", ""])
def test_letters_of_any_script_are_fine(name: str) -> None:
    validate_name(name)


@pytest.mark.parametrize("name", UNSEEN)
def test_what_nobody_sees_is_refused_wherever_a_name_is_typed(
    name: str, brand: Any, owner: Any, client_for: Callable[[Any], Client]
) -> None:
    client = client_for(owner)
    brand_form = {"name": name, "email": "a@example.test", "time_zone": "UTC"}
    for path, form in (
        ("/accounts/profile/", {"name": name, "time_zone": ""}),
        (f"/b/{brand.slug}/settings/", brand_form),
        ("/brands/new/", {"name": name}),
    ):
        answer = client.post(path, form)
        assert answer.status_code in (200, 422), path
        assert answer.context["form"].errors["name"][0] == WORDS, path
    owner.refresh_from_db()
    assert owner.name == "Olive Owner"
    assert not Brand.objects.filter(name__contains="Eve").exists()


@pytest.mark.parametrize("model", ["user", "brand"])
def test_the_console_keeps_the_rule(model: str, brand: Any, owner: Any) -> None:
    row = {"user": owner, "brand": brand}[model]
    row.name = UNSEEN[0]
    with pytest.raises(ValidationError, match="ordinary signs"):
        row.clean_fields()


def test_a_name_is_one_line_with_single_spaces(
    owner: Any, client_for: Callable[[Any], Client]
) -> None:
    client_for(owner).post(
        "/accounts/profile/", {"name": " Olive \u00a0 Owner\n II ", "time_zone": ""}
    )
    owner.refresh_from_db()
    assert owner.name == "Olive Owner II"
