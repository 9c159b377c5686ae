"""What operators see of backfills at /metrics and in the console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from leads.models import Backfill
from leads.smartlead.gate import Gate
from saas.breaker import FAILURES
from saas.observability import metrics
from saas.ratelimit import Limit
from saas.tenancy import scope
from tests.leads.factories import make_connection


def scrape(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    monkeypatch.setattr(metrics, "_kept", (0.0, []))
    lines = Client().get("/metrics").content.decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_backfills_and_the_breaker_are_seen(brand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scrape(monkeypatch)["harbor_backfill_late_seconds"] == 0
    with scope(brand):
        Backfill.objects.create(
            connection=make_connection(),
            state=Backfill.State.PARKED,
            wait=Backfill.Wait.BREAKER,
            due_at=timezone.now() - timedelta(seconds=90),
        )
    seen = scrape(monkeypatch)
    assert seen['harbor_backfills{state="parked",wait="breaker"}'] == 1
    assert 90 <= seen["harbor_backfill_late_seconds"] < 120
    assert seen['harbor_breaker_open{breaker="smartlead"}'] == 0

    for number in range(FAILURES):
        Gate(number, Limit(50)).faulty()
    assert scrape(monkeypatch)['harbor_breaker_open{breaker="smartlead"}'] == 1
