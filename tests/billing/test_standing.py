"""Standing is a function of what is known; every move has a name; listeners hear of it once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from billing import catalog, entitlements, standing
from billing.models import BillingAccount, Standing
from billing.standing import Known, Position, position
from saas.tenancy import scope

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(days=1), NOW - timedelta(days=1)


@pytest.mark.parametrize(
    ("known", "trial_ends", "expected"),
    [
        (None, LATER, Position("trial", Standing.TRIALING)),
        (None, NOW, Position("trial", Standing.DOWNGRADED)),
        (Known("leads_growth", "active", None), EARLIER, Position("leads_growth", Standing.ACTIVE)),
        (Known("leads_growth", "trialing", None), LATER, Position("leads_growth", Standing.ACTIVE)),
        (
            Known("leads_growth", "past_due", NOW),
            EARLIER,
            Position("leads_growth", Standing.PAST_DUE, NOW + catalog.GRACE),
        ),
        (
            Known("leads_growth", "past_due", NOW - catalog.GRACE),
            EARLIER,
            Position("leads_growth", Standing.DOWNGRADED),
        ),
        (Known("leads_growth", "unpaid", None), LATER, Position("leads_growth", "downgraded")),
        (Known("leads_growth", "paused", None), LATER, Position("leads_growth", "downgraded")),
        (Known("leads_growth", "canceled", None), LATER, Position("leads_growth", "canceled")),
    ],
)
def test_positions(known: Known | None, trial_ends: datetime, expected: Position) -> None:
    assert position(known, trial_ends, NOW) == expected


def test_every_move_has_a_name() -> None:
    assert set(standing.MOVES) == set(permutations(Standing, 2))


def test_the_trial_ends_by_the_clock_and_by_the_sweep(brand: Any, time_machine: Any) -> None:
    with scope(brand):
        ends = BillingAccount.objects.get().trial_ends_at
        assert entitlements.of(brand.pk, ends - timedelta(seconds=1)).devices == 1
        assert entitlements.of(brand.pk, ends).refusal == "trial_expired"
        assert entitlements.of(brand.pk, ends).devices == 0
    time_machine.move_to(ends, tick=False)
    assert standing.sweep() == 1
    assert standing.sweep() == 0
    with scope(brand):
        assert BillingAccount.objects.get().standing == "downgraded"
        assert entitlements.of(brand.pk).refusal == "trial_expired"


def test_listeners_hear_a_change_after_the_commit_and_nothing_else(
    brand: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    heard: list[int] = []
    monkeypatch.setattr(entitlements, "_listeners", [heard.append])
    with scope(brand):
        account = standing.locked(brand.pk)
        ends = account.trial_ends_at
    with django_capture_on_commit_callbacks(execute=True), scope(brand):
        standing.settle(standing.locked(brand.pk), now=ends - timedelta(days=1))
    assert heard == []
    with django_capture_on_commit_callbacks(execute=True):
        with scope(brand):
            standing.settle(standing.locked(brand.pk), now=ends)
        assert heard == []
    assert heard == [brand.pk]
