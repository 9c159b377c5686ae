"""What a running backfill says of its pace."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from leads.backfill import progress
from leads.models import Backfill, Rate
from saas.tenancy import scope
from tests.leads.factories import make_connection


@pytest.mark.parametrize(("calls", "pace"), [(30, 20), (75, 50), (100, 50)])
def test_the_pace_is_measured_and_never_above_the_limit(brand: Any, calls: int, pace: int) -> None:
    """Two windows of 50 calls in the first 90 seconds are 67 a minute, which can't go on."""
    now = timezone.now()
    with scope(brand):
        backfill = Backfill.objects.create(
            connection=make_connection(calls_per_minute=50),
            state=Backfill.State.RUNNING,
            started_at=now - timedelta(seconds=90),
        )
        Rate.objects.create(backfill=backfill, at=now - timedelta(seconds=80), calls=calls)
        assert progress.calls_per_minute(backfill, now) == pytest.approx(pace)
