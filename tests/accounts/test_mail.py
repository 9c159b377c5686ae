"""The outbox: no mail is lost, none leaves before the commit, none stays readable."""

from __future__ import annotations

import smtplib
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail as outgoing
from django.db import connection, transaction
from django.utils import timezone

from accounts import mail
from accounts.models import Mail

pytestmark = pytest.mark.django_db


def queue() -> Mail:
    return mail.queue(to="ada@example.test", subject="Hello", text="secret-link", html="<p>x</p>")


def test_a_mail_leaves_once_and_its_body_is_dropped() -> None:
    row = queue()
    assert mail.deliver(row.pk) is True
    assert mail.deliver(row.pk) is False
    [sent] = outgoing.outbox
    assert (sent.to, sent.subject, sent.body) == (["ada@example.test"], "Hello", "secret-link\n")
    assert sent.extra_headers["Message-ID"].startswith(f"<mail-{row.pk}@")
    row.refresh_from_db()
    assert row.sent_at
    assert not row.text
    assert not row.html


def test_the_body_is_sealed_while_it_waits() -> None:
    row = queue()
    with connection.cursor() as cursor:
        cursor.execute("SELECT text, html FROM accounts_mail WHERE id = %s", [row.pk])
        assert "secret-link" not in str(cursor.fetchone())


def test_a_failure_is_tried_again_later_and_at_last_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise smtplib.SMTPServerDisconnected("no")

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    row = queue()
    now = timezone.now()
    tries = 0
    with time_machine.travel(now, tick=False) as clock:
        while Mail.objects.filter(pk=row.pk, gave_up_at=None).exists():
            assert mail.deliver(row.pk) is False
            assert mail.deliver(row.pk) is False  # not due: no further try
            tries += 1
            row.refresh_from_db()
            assert row.attempts == tries
            clock.move_to(max(row.due_at, timezone.now()) + timedelta(seconds=1))
    assert tries == len(mail.RETRY_MINUTES) + 1
    assert "SMTPServerDisconnected" in row.last_error
    assert mail.sweep() == 0


def test_the_sweep_finds_what_a_dead_worker_held(monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[int] = []
    monkeypatch.setattr(mail, "wake", lambda _, pk: woken.append(pk))
    row = queue()
    woken.clear()
    Mail.objects.filter(pk=row.pk).update(lease_until=timezone.now() + timedelta(seconds=30))
    assert mail.sweep() == 0
    Mail.objects.filter(pk=row.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert mail.sweep() == 1
    assert woken == [row.pk]


def test_a_rolled_back_cause_sends_nothing() -> None:
    with transaction.atomic():
        queue()
        transaction.set_rollback(True)
    assert not Mail.objects.exists()
