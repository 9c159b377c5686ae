"""Campaigns from their exports: one call each, resumed by rows, pages where exports don't work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from billing.models import BillingAccount
from leads.backfill import engine, export
from leads.models import CampaignLead, Cursor, Lead, Rejection
from saas.tenancy import scope
from tests.leads.conftest import Account
from tests.leads.truth import assert_exact

pytestmark = pytest.mark.slow  # each test is a whole run against the sandbox
Make = Callable[[str], Account]


def cursors(a: Account) -> list[Cursor]:
    with scope(a.brand):
        rows = Cursor.objects.filter(backfill=a.run(), kind=Cursor.Kind.LEADS)
        return list(rows.order_by("id"))


def calls(a: Account, name: str) -> int:
    return int(a.counters()["calls"].get(name, 0))


def test_one_call_a_campaign(account: Make) -> None:
    a = account("sl_export_250_3_r0_dup_overlap")
    a.start()
    planned_pages = calls(a, "leads")  # the plan's counts
    done = a.drive()
    assert_exact(a)
    assert calls(a, "export") == 3
    assert calls(a, "leads") == planned_pages
    assert {(c.source, c.state, c.fell_back) for c in cursors(a)} == {("export", "done", False)}
    assert done.leads_seen == sum(c.position for c in cursors(a))


def test_who_replied_is_known_before_any_message_is_fetched(account: Make) -> None:
    a = account("sl_ranks_200_2_r0")
    a.start()
    row = a.run()
    while row.phase == "leads":
        engine.stride(a.brand.pk, row.pk)
        row = a.run()
    a.drive()
    with scope(a.brand):
        replied = Lead.objects.filter(replied=True)
        assert 0 < replied.count() < Lead.objects.count()
        assert set(CampaignLead.objects.filter(replied=True).values_list("history_rank")) == {(0,)}


@pytest.mark.parametrize(
    ("fault", "tries"), [("500", 3), ("524", 3), ("html", 3), ("not_found", 1), ("truncated", None)]
)
def test_an_export_that_never_works_falls_back_to_pages(
    account: Make, fault: str, tries: int | None
) -> None:
    a = account("sl_fallback_220_1_r0")
    a.start()
    a.fault(fault, path="leads-export$", delay=0)
    a.drive()
    a.no_faults()
    assert_exact(a)
    assert [(c.source, c.state, c.fell_back) for c in cursors(a)] == [("pages", "done", True)]
    if tries:
        assert calls(a, "export") == tries


def test_exports_that_never_worked_are_not_tried_for_every_campaign(account: Make) -> None:
    a = account("sl_distrust_300_6_r0")
    a.start()
    a.fault("not_found", path="leads-export$")
    a.drive()
    a.no_faults()
    assert_exact(a)
    assert calls(a, "export") == export.DISTRUST_AFTER
    assert calls(a, "all") == 2  # 300 leads, and the end of the list


def test_the_whole_list_leaves_only_what_it_lacks_to_the_pages(account: Make) -> None:
    a = account("sl_whole_700_4_r0_overlap")
    a.start()
    a.fault("not_found", path="leads-export$")
    planned = calls(a, "leads")
    a.drive()
    a.no_faults()
    assert_exact(a)
    replied_pages = 4  # they order the messages
    assert calls(a, "leads") == planned + replied_pages


@pytest.mark.parametrize("fault", ["500", "html", "not_found", "empty", "truncated"])
def test_a_whole_list_that_never_works_falls_back_to_pages(account: Make, fault: str) -> None:
    a = account("sl_nolist_300_3_r0")
    a.start()
    a.fault("not_found", path="leads-export$")
    a.fault(fault, path="leads/all$")
    a.drive()
    a.no_faults()
    assert_exact(a)
    with scope(a.brand):
        assert Cursor.objects.get(kind="all").state == "skipped"


def test_a_stride_that_is_over_is_followed_by_one_that_goes_on_behind_its_rows(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_resume_230_1_r0")
    a.start()
    monkeypatch.setattr(export, "BATCH", 50)
    for _ in range(2):  # the categories, then one batch
        turns = iter([False, True, True])
        monkeypatch.setattr(engine.Work, "over", lambda _, turns=turns: next(turns))
        engine.stride(a.brand.pk, a.run().pk)
    [cursor] = cursors(a)
    assert (cursor.position, cursor.state) == (50, "open")
    monkeypatch.undo()
    done = a.drive()
    assert_exact(a)
    [cursor] = cursors(a)
    assert done.leads_seen == cursor.position == 230
    assert calls(a, "export") == 2


def test_an_export_in_another_order_is_taken_in_from_its_start(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_shifted_120_1_r0")
    a.start()
    with scope(a.brand):
        Cursor.objects.filter(kind="leads").update(position=60, digest="0" * 32)
    a.drive()
    assert_exact(a)


def test_bad_rows_of_an_export_are_recorded_and_skipped(account: Make) -> None:
    a = account("sl_exportbad_2000_1_r0_bad")
    with scope(a.brand):
        BillingAccount.objects.update(lead_quota=5000)
    a.start()
    engine.stride(a.brand.pk, a.run().pk)
    with scope(a.brand):
        [cursor] = Cursor.objects.filter(kind="leads")
        assert (cursor.state, cursor.position) == ("done", 2000)
        rejected = sum(Rejection.objects.values_list("seen", flat=True))
        assert 0 < rejected < 20
        assert CampaignLead.objects.count() == 2000 - rejected


def test_an_export_that_is_read_again_leaves_out_each_row_once(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_exportbad_2000_1_r0_bad")
    with scope(a.brand):
        BillingAccount.objects.update(lead_quota=5000)
    a.start()
    monkeypatch.setattr(export, "BATCH", 1500)
    for _ in range(2):  # the categories, then one batch
        turns = iter([False, True, True])
        monkeypatch.setattr(engine.Work, "over", lambda _, turns=turns: next(turns))
        engine.stride(a.brand.pk, a.run().pk)
    with scope(a.brand):
        Cursor.objects.filter(kind="leads").update(digest="0" * 32)  # another order
    monkeypatch.undo()
    for _ in range(3):
        engine.stride(a.brand.pk, a.run().pk)
    with scope(a.brand):
        assert Cursor.objects.get(kind="leads").state == "done"
        assert a.run().rejected == Rejection.objects.count() == 2000 - CampaignLead.objects.count()
        assert max(Rejection.objects.values_list("seen", flat=True)) > 1  # it was read again


def test_a_full_plan_parks_an_export_and_room_lets_it_go_on(account: Make) -> None:
    a = account("sl_full_120_1_r0")
    a.start()
    with scope(a.brand):
        BillingAccount.objects.update(lead_quota=50)
    a.drive(until="parked")
    assert a.count()[0] == 50
    with scope(a.brand):
        BillingAccount.objects.update(lead_quota=5000)
    from leads.backfill import control

    control.resume(brand_id=a.brand.pk, backfill_id=a.run().pk, actor=None)
    done = a.drive()
    assert_exact(a)
    assert (done.leads_seen, done.leads_new) == (120, 120)  # what was read twice counts once


def test_a_large_export_waits_for_a_worker_of_its_own(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_bulk_120_1_r0")
    a.start()
    monkeypatch.setattr(engine, "SMALL_EXPORT", 100)
    woken: list[str] = []
    monkeypatch.setattr(engine, "wake", lambda task, *_, **__: woken.append(task))
    engine.stride(a.brand.pk, a.run().pk)
    assert (woken, a.count()[0]) == (["leads.bulk"], 0)
    engine.stride(a.brand.pk, a.run().pk, bulk=True)
    assert a.count()[0] == 120
