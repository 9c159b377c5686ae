"""The engine against the sandbox: everything exactly once, whatever SmartLead does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from billing.models import BillingAccount
from leads.models import CampaignLead, Category, Lead, Message, Rejection
from saas.tenancy import scope
from tests.leads.conftest import Account
from tests.leads.truth import assert_exact

Make = Callable[[str], Account]


def test_a_backfill_brings_in_everything_once(account: Make) -> None:
    a = account("sl_engine_130_3_r0_dup_overlap")
    a.start()
    done = a.drive()
    assert (done.phase, done.wait, done.rejected) == ("done", "", 0)
    assert_exact(a)
    with scope(a.brand):
        assert BillingAccount.objects.get().leads_used == Lead.objects.count() == done.leads_new
        assert Message.objects.count() == done.messages_new
        assert CampaignLead.objects.count() == done.history_done == done.history_total
        assert Category.objects.count() == 10
    assert a.counters()["in_flight_max"] <= 5


def test_again_changes_nothing(account: Make) -> None:
    a = account("sl_again_30_2_r0")
    a.start()
    a.drive()
    before = a.count()
    a.start()
    again = a.drive()
    assert (again.leads_new, again.leads_changed, again.messages_new) == (0, 0, 0)
    assert a.count() == before


@pytest.mark.parametrize("source", ["export", "pages"])
@pytest.mark.parametrize(
    "fault", ["500", "524", "html", "empty", "braces", "truncated", "reset", "not_found"]
)
def test_each_fault_now_and_then_loses_nothing(account: Make, fault: str, source: str) -> None:
    a = account("sl_faulty_30_2_r0")
    a.start()
    if source == "pages":
        a.by_pages()
    a.fault(fault, probability=0.2, seed=7, delay=0)
    done = a.drive()
    a.no_faults()
    assert done.rejected == 0
    assert_exact(a)


def test_bad_rows_are_recorded_and_skipped(account: Make) -> None:
    a = account("sl_bad_60_1_r0")
    a.start()
    a.by_pages()
    for flaw in ("no_email", "bad_email", "nul", "huge", "types", "no_lead", "null_row"):
        a.fault("malformed", flaw=flaw, rows=1, path="leads$", count=1)
        a.drive(1, until="running") if flaw != "null_row" else a.drive()
        a.no_faults()
    with scope(a.brand):
        assert Rejection.objects.filter(source="leads").count() >= 1
        assert Lead.objects.count() >= 59


def test_a_pushback_is_waited_for_and_said(account: Make) -> None:
    a = account("sl_push_40_1_r0")
    a.start()
    a.fault("429", count=1, retry_after=30)
    from leads.backfill import engine

    engine.stride(a.brand.pk, a.run().pk)
    row = a.run()
    assert (row.state, row.wait) == ("running", "vendor")
    assert 25 < (row.due_at - row.started_at).total_seconds() < 40


def test_an_outage_parks_with_a_time_to_go_on(account: Make) -> None:
    from leads.backfill import engine

    a = account("sl_down_40_1_r0")
    a.start()
    a.fault("500")
    for _ in range(3):
        engine.stride(a.brand.pk, a.run().pk)
    row = a.run()
    assert (row.state, row.wait) == ("parked", "breaker")
    assert 30 < (row.due_at - row.started_at).total_seconds() < 75
    assert a.count() == (0, 0, 0)
