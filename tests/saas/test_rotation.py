"""Rotation: everything sealed moves to the new key, and nothing written meanwhile is lost."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from accounts.models import Mail
from saas import crypto, rotation
from tests.factories import make_user

pytestmark = pytest.mark.django_db

OLD = "old:" + base64.b64encode(bytes(range(32))).decode()
NEW = "new:" + base64.b64encode(bytes(range(32, 64))).decode()
BOTH = f"{NEW},{OLD}"


@pytest.fixture
def sealed_with_the_old_key() -> Mail:
    with override_settings(SEALING_KEYS=OLD):
        person = make_user()
        Authenticator.objects.create(
            user=person, type="totp", data={"secret": get_adapter().encrypt("JBSWY3DP")}
        )
        Authenticator.objects.create(
            user=person,
            type="recovery_codes",
            data={"seed": get_adapter().encrypt("abcdef"), "used_mask": 5},
        )
        return Mail.objects.create(to="a@example.test", subject="x", text="hello", html="")


def stored(mail: Mail) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM accounts_mail WHERE id = %s", [mail.pk])
        return str(cursor.fetchone()[0])


def test_everything_moves_and_a_second_run_has_nothing_to_do(
    sealed_with_the_old_key: Mail, capsys: pytest.CaptureFixture[str]
) -> None:
    with override_settings(SEALING_KEYS=BOTH):
        call_command("rotate_sealing_keys")
        out = capsys.readouterr().out
        assert "accounts_mail.text: 1 re-sealed" in out
        assert "accounts_mail.html: 0 re-sealed" in out
        assert "mfa_authenticator.data: 2 re-sealed" in out
        call_command("rotate_sealing_keys")
        assert ": 1 re-sealed" not in capsys.readouterr().out
    with override_settings(SEALING_KEYS=NEW):  # the old key may go
        assert Mail.objects.get().text.reveal() == "hello"
        totp, codes = Authenticator.objects.order_by("-type")
        assert get_adapter().decrypt(totp.data["secret"]) == "JBSWY3DP"
        assert get_adapter().decrypt(codes.data["seed"]) == "abcdef"
        assert codes.data["used_mask"] == 5


def test_a_value_saved_meanwhile_wins(
    sealed_with_the_old_key: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = crypto.unseal

    def somebody_saves(token: str, *, context: str) -> str:
        if context.startswith("accounts_mail.text"):
            fresh = Mail.objects.get()
            fresh.text = "newer"
            fresh.save()
        return real(token, context=context)

    with override_settings(SEALING_KEYS=BOTH):
        monkeypatch.setattr(crypto, "unseal", somebody_saves)
        reports = {report.place: report for report in rotation.rotate()}
        monkeypatch.undo()
        assert reports["accounts_mail.text"].resealed == 0
        assert Mail.objects.get().text.reveal() == "newer"


def test_a_token_moved_to_another_place_does_not_open_and_is_reported(
    sealed_with_the_old_key: Mail, capsys: pytest.CaptureFixture[str]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_mail SET html = text")
    with override_settings(SEALING_KEYS=BOTH):
        with pytest.raises(CommandError, match="1 values do not open"):
            call_command("rotate_sealing_keys")
        with pytest.raises(crypto.Unopenable):
            Mail.objects.get().html.reveal()
        assert Mail.objects.get().text.reveal() == "hello"


def test_a_ciphertext_moved_to_another_brands_row_does_not_open(brand: Any) -> None:
    from leads.models import Connection
    from saas.tenancy import everyone, scope
    from tests.factories import make_brand

    other = make_brand()
    for owner, key in ((brand, "key-one"), (other, "key-two")):
        with scope(owner):
            Connection.objects.create(api_key=key)
    with everyone("a thief with SQL"), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE leads_connection SET api_key = (SELECT api_key FROM leads_connection"
            " WHERE brand_id = %s) WHERE brand_id = %s",
            [brand.pk, other.pk],
        )
    with scope(other), pytest.raises(crypto.Unopenable):
        Connection.objects.get().api_key.reveal()
    with scope(brand):
        assert Connection.objects.get().api_key.reveal() == "key-one"


def test_a_new_key_is_a_valid_key(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("make_sealing_key", "--id", "k9")
    made = capsys.readouterr().out.strip()
    assert list(crypto.parse_keys(made)) == ["k9"]
    call_command("make_sealing_key", "--id", "k9")
    assert capsys.readouterr().out.strip() != made
