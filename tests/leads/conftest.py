"""A brand with a sandbox account, and a way to drive its backfill without Celery."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class Account:
    """A brand connected to a SmartLead account of the sandbox, `key` describing it."""

    def __init__(self, brand: Any, owner: Any, sandbox: Any, key: str) -> None:
        from leads import connections

        self.brand, self.owner, self.sandbox, self.key = brand, owner, sandbox, key
        sandbox.control("smartlead", "accounts", {"key": key})
        connections.connect(brand_id=brand.pk, api_key=key, actor=owner)
        self.limits(60_000, 5)

    def limits(self, calls: int, in_flight: int) -> None:
        from leads import connections

        connections.set_limits(
            brand_id=self.brand.pk, calls_per_minute=calls, in_flight=in_flight, actor=self.owner
        )

    def fault(self, kind: str, **fields: Any) -> None:
        self.sandbox.control("smartlead", "faults", {"kind": kind, **fields})

    def no_faults(self) -> None:
        self.sandbox.control("smartlead", "faults", method="DELETE")

    def counters(self) -> dict[str, Any]:
        found: dict[str, Any] = self.sandbox.control("smartlead", f"counters?key={self.key}")
        return found

    def plan(self) -> Any:
        from leads.backfill import plan

        return plan.make(brand_id=self.brand.pk, actor=self.owner)

    def start(self) -> Any:
        from leads.backfill import control

        return control.start(brand_id=self.brand.pk, backfill_id=self.plan().pk, actor=self.owner)

    def by_pages(self) -> None:
        """Make the run read pages, as after exports that don't work."""
        from leads.models import Cursor
        from saas.tenancy import scope

        with scope(self.brand):
            Cursor.objects.update(source=Cursor.Source.PAGES)

    def run(self) -> Any:
        """Return the newest backfill as it is now."""
        from leads.models import Backfill
        from saas.tenancy import scope

        with scope(self.brand):
            return Backfill.objects.select_related("connection").latest("id")

    def drive(self, strides: int = 60, *, until: str = "finished") -> Any:
        """Stride as a worker would, with waits passed over, until the run is in state `until`."""
        from leads.backfill import engine
        from leads.models import Backfill
        from saas.tenancy import scope

        for _ in range(strides):
            row = self.run()
            if row.state == until:
                return row
            with scope(self.brand):
                due = row.due_at and Backfill.objects.filter(pk=row.pk).update(
                    due_at=row.created_at
                )
            if not due:
                break
            engine.stride(self.brand.pk, row.pk)
        row = self.run()
        assert row.state == until, (row.state, row.wait, row.last_error, row.due_at)
        return row

    def count(self) -> tuple[int, int, int]:
        """Return the numbers of leads, places in campaigns and messages."""
        from leads.models import CampaignLead, Lead, Message
        from saas.tenancy import scope

        with scope(self.brand):
            return Lead.objects.count(), CampaignLead.objects.count(), Message.objects.count()


@pytest.fixture
def account(brand: Any, owner: Any, sandbox: Any) -> Callable[[str], Account]:
    return lambda key: Account(brand, owner, sandbox, key)
