"""Processes that all admit leads of one brand at the same moment, round after round."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

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
    """PROCESSES processes of the `brand_id`, each with a connection of its own, that `admit`."""

    def __init__(self, brand_id: int, admit: Admit) -> None:
        self.brand_id, self.admit = brand_id, admit
        self.before, self.after = (FORK.Barrier(PROCESSES + 1, timeout=PATIENCE) for _ in range(2))

    def around_the_quota(self, rounds: int) -> Iterator[Round]:
        """Each round has room for ROOM leads, less than are wanted."""
        for number in self._rounds(rounds):
            yield self._round(number, ROOM, timezone.now() + timedelta(days=1))

    def around_the_end(self, rounds: int) -> Iterator[Round]:
        """Each round has room enough, and the trial ends while they wait for each other."""
        dice = random.Random(7)
        for number in self._rounds(rounds):
            moment = timedelta(milliseconds=dice.uniform(15, 60))
            yield self._round(number, PROCESSES * BATCH, timezone.now() + moment)

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
    def _processes(self, rounds: int) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute(LOG)
        close_connections()  # a pool does not survive a fork
        started: list[Any] = [
            FORK.Process(target=self._run, args=(number, rounds), daemon=True)
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

    def _rounds(self, rounds: int) -> Iterator[int]:
        with self._processes(rounds):
            yield from range(rounds)

    def _run(self, process: int, rounds: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")  # connected before the race
        for number in range(rounds):
            self.before.wait()
            with scope(self.brand_id):
                self._insert(f"p{process}r{number}", number)
            self.after.wait()

    def _insert(self, name: str, number: int) -> None:
        admission = self.admit(self.brand_id, BATCH)
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
