"""The storm: backfills under kills, flushes, restarts and faults, and what came of them.

What befalls the system is spread over the work rather than over time: half of it while leads come
in, half while their messages do. Nobody waits for a dead worker's lease to run out: one that was
not renewed for some seconds is ended, as if the time had passed (a live stride that is robbed by
that has to notice). Everything else, the sweeps included, is the system's own.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from saas.embedded.processes import wait_until
from tests.chaos import verdict
from tests.chaos.world import LEADS_EACH, Visitor, World, children, valkey, world

STALE = 5.0  # seconds without a renewal: a live stride renews at each commit
RECOVERY = 45.0  # seconds until a page is there again and beat has swept, which it does every 15
FULL = {"kills": 100, "flushes": 3, "restarts": 2, "leads": 200_000, "rate": 0.05}


@dataclass(frozen=True)
class Table:
    """What is to befall the system. `rate` of the calls get a fault; `patience` in seconds."""

    kills: int
    flushes: int
    restarts: int
    leads: int
    rate: float
    seed: int
    accounts: int = 0
    patience: float = 7_200.0

    @property
    def brands(self) -> int:
        return self.accounts or max(5, self.leads // LEADS_EACH)


@dataclass
class Report:
    """What befell the system and what it did; `discrepancies` is empty after a good run."""

    done: dict[str, int] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    discrepancies: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Awaited:
    """What has to recover: from when on, on the monotonic clock and on the other."""

    what: str
    began: float
    at: datetime


class Storm:
    def __init__(self, made: World, table: Table, visitor: Visitor) -> None:
        self.world, self.table, self.visitor = made, table, visitor
        self.dice = random.Random(table.seed)
        self.report = Report()
        self.planned = self._plan()
        self.awaited: list[Awaited] = []

    def rage(self) -> Report:
        """Let everything happen, then wait until the backfills have ended."""
        until = time.monotonic() + self.table.patience
        began = time.monotonic()
        while not self._ended():
            if time.monotonic() > until:
                self.report.discrepancies.append(f"not ended after {self.table.patience:.0f} s")
                break
            self._lapse()
            if self.planned and self._share() >= self.planned[0][0] and self._ready():
                what = self.planned.pop(0)[1]
                self._befall(what)
                self.report.done[what] = self.report.done.get(what, 0) + 1
            self._look_for_recovery()
            time.sleep(0.2)
        wait_until(self._look_for_recovery, RECOVERY, every=0.5)
        if self.planned:
            self.report.discrepancies.append(f"did not come to {len(self.planned)} of all that")
        self.report.figures["seconds"] = round(time.monotonic() - began, 1)
        return self.report

    def _plan(self) -> list[tuple[float, str]]:
        table = self.table
        names = (
            ["kills"] * table.kills + ["flushes"] * table.flushes + ["restarts"] * table.restarts
        )
        self.dice.shuffle(names)
        return [((number + 0.5) / len(names) * 0.95, name) for number, name in enumerate(names)]

    def _befall(self, what: str) -> None:
        say(f"{self._share():6.1%}  {what}")
        if what == "kills":
            self._kill()
        elif what == "flushes":
            self.world.flush_valkey()
        else:
            crash = self.report.done.get("restarts", 0) % 2 == 0
            self.world.restart_postgres(self.dice, crash=crash)
        if what != "kills":
            self.awaited.append(Awaited(what, time.monotonic(), timezone.now()))

    def _kill(self) -> None:
        """Kill a worker with all its processes, and start another; or one process of its pool."""
        victim = self.dice.choice([one for one in self.world.workers if one.ready()])
        pool = children(victim)
        if pool and self.dice.random() < 0.3:
            os.kill(self.dice.choice(pool), signal.SIGKILL)
            return
        victim.kill()
        self.world.workers.remove(victim)
        self.world.worker()

    def _look_for_recovery(self) -> bool:
        """The web server and beat go on by themselves; tell whether nothing is awaited any more."""
        from saas.models import JobRun

        for each in list(self.awaited):
            sweeps = JobRun.objects.filter(name="leads.sweep", started_at__gt=each.at, ok=True)
            page, swept = self.visitor.saw_page_after(each.began), sweeps.exists()
            took = time.monotonic() - each.began
            if page and swept:
                self.awaited.remove(each)
                slowest = self.report.figures.get("slowest_recovery", 0)
                self.report.figures["slowest_recovery"] = max(slowest, round(took, 1))
            elif took > RECOVERY:
                self.awaited.remove(each)
                self.report.discrepancies.append(
                    f"{RECOVERY:.0f} s after one of the {each.what}: "
                    f"{'a' if page else 'no'} page, {'a' if swept else 'no'} sweep"
                )
        return not self.awaited

    def _ready(self) -> bool:
        for one in self.world.workers:
            if not one.child.alive():
                self.report.discrepancies.append(f"a worker ended by itself: {one.log}")
                self.world.workers.remove(one)
                self.world.worker()
        return any(one.ready() for one in self.world.workers)

    def _ended(self) -> bool:
        from leads.models import Backfill
        from saas.tenancy import everyone

        with everyone("chaos"):
            return not Backfill.objects.filter(state__in=Backfill.LIVE).exists()

    def _share(self) -> float:
        """How much of the work is done: leads are one half, messages the other."""
        from django.db.models import Sum

        from leads.models import Backfill
        from saas.tenancy import everyone

        with everyone("chaos"):
            done = Backfill.objects.aggregate(leads=Sum("leads_new"), threads=Sum("history_done"))
        return float((done["leads"] or 0) + (done["threads"] or 0)) / 2 / self.table.leads

    def _lapse(self) -> None:
        """End the leases and permits that nobody renewed for STALE seconds, and sweep for them."""
        from leads.backfill import sweep
        from leads.backfill.engine import BULK_BOX, LEASE
        from leads.models import Backfill
        from leads.smartlead.gate import LONGEST_CALL
        from saas.tenancy import everyone

        now = timezone.now()
        with everyone("chaos"):
            stale = now + timedelta(seconds=LEASE - STALE)
            Backfill.objects.filter(lease_until__lt=stale, lease_until__gt=now).update(
                lease_until=now
            )
        client, ms = valkey(), time.time() * 1000
        for key in client.scan_iter("harbor:limit:*:flight"):
            client.zremrangebyscore(key, "-inf", ms + (LONGEST_CALL - 2 * STALE) * 1000)
            longest = ms + (BULK_BOX - STALE) * 1000
            client.zremrangebyscore(key, ms + (LONGEST_CALL + 1) * 1000, longest)
        sweep.wake_overdue()


def run(table: Table) -> Report:
    """Run the whole of it on servers of its own; return what it came to."""
    with world() as made:
        web = made.start_servers()
        made.read(table.leads, table.brands)
        made.spoil(table.rate, table.seed, timeouts=max(1, table.kills // 10))
        made.start_workers()
        visitor = Visitor(web, made.accounts[0])
        visitor.start()
        say(f"{table.brands} accounts, {table.leads} leads")
        report = Storm(made, table, visitor).rage()
        visitor.over.set()
        visitor.join()
        if visitor.strange():
            report.discrepancies.append(f"the page answered {visitor.strange()}")
        report.figures["pages_seen"] = sum(status == 200 for _, status in visitor.seen)
        report.figures["pages_refused"] = sum(status != 200 for _, status in visitor.seen)
        verdict.judge(made, report, flushed=table.flushes > 0)
        return report


def say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)
