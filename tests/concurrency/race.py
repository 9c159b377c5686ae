"""Processes that all admit leads of one brand at the same moment, round after round."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db import connection
from django.utils import timezone

from billing.admission import Admission
from billing.models import BillingAccount
from leads.models import Lead
from saas.tenancy import scope
from tests.fixtures.database import close_connections

PROCESSES = 32
ROOM, BATCH = 41, 3  # leads that a round has room for, and that a process wants at a time
PATIENCE = 120.0  # seconds
FORK = multiprocessing.get_context("fork")
Admit = Callable[[int, int], Admission]
Around = Literal["quota", "end"]

# A line a transaction, its last statement, while it holds the account: so `id` is the order of the
# transactions, and whoever comes next gets the lock after `closing`.
LOG = """
CREATE TABLE IF NOT EXISTS race_log (round int, id bigserial, granted int, refusal text,
  closing timestamptz DEFAULT clock_timestamp())"""
LATE = """
SELECT coalesce(sum(granted), 0) FROM race_log l WHERE round = %s AND granted > 0 AND EXISTS (
  SELECT FROM race_log b WHERE b.round = l.round AND b.id < l.id AND b.closing >= %s)"""


@dataclass(frozen=True)
class Round:
    """What a round came to. `late`: admitted after another had the lock after the end."""

    granted: int
    leads: int
    used: int
    late: int
    refusals: set[str]


class Race:
    """PROCESSES processes of `brand_id`, each with a connection of its own. A step is what a round
    is around, the quota or the end of the trial, and how the processes admit in it."""

    def __init__(self, brand_id: int, steps: Sequence[tuple[Around, Admit]]) -> None:
        self.brand_id, self.steps = brand_id, steps
        self.before, self.after = (FORK.Barrier(PROCESSES + 1, timeout=PATIENCE) for _ in range(2))

    def run(self) -> list[Round]:
        """Around the quota there is room for ROOM leads, less than are wanted. Around the end there
        is room enough, and the trial ends while the processes wait for each other."""
        dice, rounds = random.Random(7), []
        with self._processes():
            for number, (around, _) in enumerate(self.steps):
                if around == "quota":
                    room, left = ROOM, timedelta(days=1)
                else:
                    room, left = PROCESSES * BATCH, timedelta(milliseconds=dice.uniform(15, 60))
                rounds.append(self._round(number, room, timezone.now() + left))
        return rounds

    def _round(self, number: int, room: int, ends: datetime) -> Round:
        with scope(self.brand_id):
            leads, account = Lead.objects.count(), BillingAccount.objects.get()
            BillingAccount.objects.update(lead_quota=account.leads_used + room, trial_ends_at=ends)
        self.before.wait()
        self.after.wait()
        with scope(self.brand_id), connection.cursor() as cursor:
            cursor.execute("SELECT granted, refusal FROM race_log WHERE round = %s", [number])
            lines = cursor.fetchall()
            cursor.execute(LATE, [number, ends])
            [late] = cursor.fetchone() or [0]
            return Round(
                sum(granted for granted, _ in lines),
                Lead.objects.count() - leads,
                BillingAccount.objects.get().leads_used - account.leads_used,
                late,
                {refusal for _, refusal in lines if refusal},
            )

    @contextmanager
    def _processes(self) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute(LOG)
        close_connections()  # a pool does not survive a fork
        started: list[Any] = [
            FORK.Process(target=self._take_part, args=(number,), daemon=True)
            for number in range(PROCESSES)
        ]
        for process in started:
            process.start()
        try:
            yield
            for process in started:
                process.join(PATIENCE)
            assert [process.exitcode for process in started] == [0] * PROCESSES
        finally:
            for process in started:
                process.kill()

    def _take_part(self, process: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")  # connected before the race
        for number, (_, admit) in enumerate(self.steps):
            self.before.wait()
            with scope(self.brand_id):
                self._insert(admit, f"p{process}r{number}", number)
            self.after.wait()

    def _insert(self, admit: Admit, name: str, number: int) -> None:
        admission = admit(self.brand_id, BATCH)
        now = timezone.now()
        Lead.objects.bulk_create(
            Lead(email=f"{name}n{n}@example.test", joined_at=now, last_activity_at=now)
            for n in range(admission.granted)
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO race_log (round, granted, refusal) VALUES (%s, %s, %s)",
                [number, admission.granted, admission.refusal or ""],
            )
