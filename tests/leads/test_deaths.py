"""What a worker or a web server leaves when it dies, or is overtaken, between two commits."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing.models import BillingAccount
from leads import connections
from leads.backfill import control, endings, engine
from leads.hooks import inbox
from leads.models import Backfill, Connection, Delivery
from saas.tenancy import scope
from tests.leads.conftest import Account
from tests.leads.truth import assert_exact

Make = Callable[[str], Account]


class Death(BaseException):
    """The process is gone: nothing of ours runs any more."""


def stride(account: Account) -> Backfill:
    row = account.run()
    with scope(account.brand):
        Backfill.objects.filter(pk=row.pk).update(due_at=row.created_at)
    engine.stride(account.brand.pk, row.pk)
    after: Backfill = account.run()
    return after


def revoke(account: Account) -> None:
    with scope(account.brand):
        connection = Connection.objects.get()
        connection.api_key = "revoked"
        connection.save()


def states(account: Account) -> tuple[str, str]:
    """The connection's, and the run's."""
    with scope(account.brand):
        return Connection.objects.get().state, account.run().state


def overtaken(monkeypatch: pytest.MonkeyPatch, name: str, then: Callable[[], Any]) -> None:
    """Let `then` happen once, just after the engine's `name`."""
    real, left = getattr(engine, name), [then]

    def done(*args: Any, **kwargs: Any) -> Any:
        came = real(*args, **kwargs)
        if left:
            left.pop()()
        return came

    monkeypatch.setattr(engine, name, done)


def test_an_event_that_kills_its_workers_takes_no_other_with_it(
    brand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scope(brand):
        for number in range(inbox.TURN):
            body = json.dumps({"event_type": "NEWS", "deadly": number == 3})
            Delivery.objects.create(key=f"{number}", type="NEWS", body=body)
    real = inbox.apply

    def apply(event: Any, **kwargs: Any) -> str:
        if event.body["deadly"]:
            raise Death
        return real(event, **kwargs)

    monkeypatch.setattr(inbox, "apply", apply)
    for _ in range(3 * inbox.MOST_ATTEMPTS):
        with suppress(Death):
            inbox.drain()
        with scope(brand):
            Delivery.objects.update(lease_until=None, next_attempt_at=timezone.now())
    with scope(brand):
        found = dict(Delivery.objects.values_list("key", "state"))
    assert found == {str(n): "parked" if n == 3 else "done" for n in range(inbox.TURN)}


def test_a_flood_of_events_leaves_a_turn_to_those_that_failed(
    brand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[int] = []
    monkeypatch.setattr(inbox, "work", lambda row: worked.append(row.attempts))
    with scope(brand):
        for number in range(3 * inbox.TURN):
            Delivery.objects.create(
                key=f"{number}", type="NEWS", body="{}", attempts=5 if number == 0 else 0
            )
    inbox.drain(seconds=5)
    assert worked[inbox.TURN] == 6  # after the first turn of new ones


def test_a_new_key_and_the_run_that_waits_for_it_go_together(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_death_30_1_r0")
    a.start()
    revoke(a)
    stride(a)
    assert states(a) == ("refused", "parked")

    def dies(*_: Any, **__: Any) -> bool:
        raise Death

    with monkeypatch.context() as patch:
        patch.setattr(control, "go_on", dies)
        with pytest.raises(Death):
            connections.connect(brand_id=a.brand.pk, api_key=a.key, actor=a.owner)
    assert states(a) == ("refused", "parked")  # not: working, with a run that nobody resumes
    connections.connect(brand_id=a.brand.pk, api_key=a.key, actor=a.owner)
    assert states(a) == ("working", "running")


def test_the_refusal_of_an_old_key_is_no_word_on_the_new_one(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_oldkey_30_1_r0")
    a.start()
    a.by_pages()
    revoke(a)

    def renew() -> None:
        connections.connect(brand_id=a.brand.pk, api_key=a.key, actor=a.owner)

    overtaken(monkeypatch, "fetch_all", renew)
    stride(a)
    assert states(a) == ("working", "running")
    a.drive()
    assert_exact(a)


def test_a_run_that_was_cancelled_does_not_come_back_because_the_plan_is_full(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_lastword_30_1_r0")
    with scope(a.brand):
        BillingAccount.objects.update(lead_quota=10)
    run = a.start()
    a.by_pages()
    real = engine.commit

    def commit(*args: Any, **kwargs: Any) -> Any:
        delta = real(*args, **kwargs)
        if delta.refusal:  # now somebody cancels it, before the run says that it waits
            control.cancel(brand_id=a.brand.pk, backfill_id=run.pk, actor=a.owner)
        return delta

    monkeypatch.setattr(engine, "commit", commit)
    for _ in range(3):
        stride(a)
    row = a.run()
    assert (row.state, row.wait, row.lease_until) == ("cancelled", "", None)


def test_a_run_that_was_cancelled_with_its_last_call_stays_cancelled(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_lastcall_30_1_r0")
    run = a.start()
    real = endings.settle

    def settle(backfill: Backfill) -> None:
        control.cancel(brand_id=a.brand.pk, backfill_id=run.pk, actor=a.owner)
        real(backfill)

    monkeypatch.setattr(endings, "settle", settle)
    for _ in range(3):
        stride(a)
    row = a.run()
    assert (row.state, row.lease_until) == ("cancelled", None)


def test_a_silent_smartlead_never_ends_a_run(account: Make) -> None:
    """An hour and more of breakers and waits is no fault of ours."""
    a = account("sl_silent_30_1_r0")
    a.start()
    a.fault("500")
    for _ in range(engine.MOST_CLAIMS + 10):
        row = stride(a)
    assert row.state == "parked"
    assert row.wait == "breaker"
    assert row.due_at is not None
    assert row.due_at > timezone.now() + timedelta(seconds=1)


def test_a_run_whose_strides_all_die_ends(account: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    a = account("sl_deadly_30_1_r0")
    a.start()

    def dies(*_: Any) -> Any:
        raise Death

    monkeypatch.setattr(engine, "_step", dies)
    for _ in range(engine.MOST_CLAIMS):
        with pytest.raises(Death):
            stride(a)
        with scope(a.brand):
            Backfill.objects.update(lease_until=None)
    assert stride(a).state == "failed"
