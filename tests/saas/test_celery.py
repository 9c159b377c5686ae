"""Wake-ups: sent on commit, survived when the broker is away, never a long countdown."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from kombu.exceptions import OperationalError

from saas import context
from saas.celery import LONGEST_COUNTDOWN, ContextTask, app, wake


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []

    def send(self: Any, *args: Any, **options: Any) -> None:
        calls.append({"task": self.task, "args": self.args, **options})

    monkeypatch.setattr("celery.canvas.Signature.apply_async", send)
    return calls


@pytest.mark.django_db(transaction=False)
def test_a_wake_up_leaves_on_commit_only(
    sent: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        wake("saas.heartbeat", 1, after=5)
        assert sent == []
    assert [(s["task"], s["args"], s["countdown"]) for s in sent] == [("saas.heartbeat", (1,), 5)]


@pytest.mark.django_db
def test_a_rolled_back_transaction_wakes_nobody(
    sent: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    def change_and_fail() -> None:
        with transaction.atomic():
            wake("saas.heartbeat")
            raise ZeroDivisionError

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert sent == []


@pytest.mark.django_db
def test_a_long_wait_is_left_to_the_sweep(
    sent: list[dict[str, Any]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        wake("saas.heartbeat", after=LONGEST_COUNTDOWN + 1)
    assert sent == []


@pytest.mark.django_db
def test_a_dead_broker_loses_the_message_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def refuse(self: Any, *args: Any, **options: Any) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr("celery.canvas.Signature.apply_async", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        wake("saas.heartbeat")


def test_the_request_id_travels_with_the_task() -> None:
    seen: dict[str, Any] = {}

    @app.task(base=ContextTask, name="test.context", bind=True)
    def look(self: Any) -> None:
        seen.update(context.bound())

    try:
        headers = {"harbor": {"request_id": "r-12345678", "user_id": 7, "brand_id": 3}}
        look.apply(headers=headers)
    finally:
        app.tasks.pop("test.context")
    assert seen["request_id"] == "r-12345678"
    assert seen["user_id"] == 7
    assert "brand_id" not in seen  # a task opens its own scope
    assert seen["task_id"]


def test_every_sweep_is_on_the_schedule() -> None:
    app.autodiscover_tasks(force=True)
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {name for name in app.tasks if name.endswith("sweep")} <= scheduled
