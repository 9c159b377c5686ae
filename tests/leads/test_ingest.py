"""Ingest: every row exactly once, admitted by billing, and nothing known is blanked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from billing.models import BillingAccount
from leads.ingest import leads, messages, rejections
from leads.ingest.rows import BadRow, Merged, Thread
from leads.models import CampaignLead, Lead, Message, Rejection
from tests.leads.factories import JOINED, lead_row, lead_rows, make_campaign, message_row

NOW = JOINED + timedelta(days=300)


@pytest.fixture
def campaign(scoped: Any) -> Any:
    return make_campaign()


def merge(campaign: Any, rows: Any) -> Merged:
    return leads.merge(brand_id=campaign.brand_id, campaign_id=campaign.pk, rows=list(rows))


def test_new_leads_are_inserted_counted_and_placed_in_their_campaign(campaign: Any) -> None:
    assert merge(campaign, lead_rows(3)) == Merged(seen=3, new=3)
    lead = Lead.objects.get(email="lead0000002@example.test")
    assert (lead.first_name, lead.company, lead.status) == ("First2", "Company 2", "COMPLETED")
    assert lead.custom == {"title": "Head of Sales"}
    place = CampaignLead.objects.get(lead_id=lead.id)
    assert (place.campaign_id, place.remote_lead_id, place.replied) == (
        campaign.pk,
        5_000_002,
        False,
    )
    assert BillingAccount.objects.get().leads_used == 3


def test_the_same_rows_again_write_nothing(campaign: Any) -> None:
    merge(campaign, lead_rows(50))
    before = list(Lead.objects.order_by("id").values())
    assert merge(campaign, lead_rows(50)) == Merged(seen=50)
    assert list(Lead.objects.order_by("id").values()) == before
    assert BillingAccount.objects.get().leads_used == 50


def test_rows_that_change_nothing_are_not_even_locked(campaign: Any) -> None:
    def locked() -> set[tuple[str, ...]]:
        """Each row with who locked it or wrote over it last."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 'lead', id::text, xmax::text, ctid::text FROM leads_lead UNION ALL"
                " SELECT 'place', lead_id::text, xmax::text, ctid::text FROM leads_campaignlead"
            )
            return set(cursor.fetchall())

    merge(campaign, lead_rows(50))
    before = locked()
    with transaction.atomic():  # of its own, so that a lock shows
        changed = merge(campaign, [*lead_rows(49), lead_row(49, company="New Ltd")])
    assert changed == Merged(seen=50, changed=1)
    [(kind, *_)] = locked() - before
    assert kind == "lead"


@pytest.mark.parametrize("sql", ["MERGE_LEADS", "MERGE_PLACES", "COUNT"])
def test_without_statistics_each_row_is_asked_for_by_its_key(campaign: Any, sql: str) -> None:
    """A hash of the brand would be quick here, and read ten million leads for five thousand."""
    merge(campaign, lead_rows(2_000))
    again = lead_rows(500) if sql.startswith("MERGE") else lead_rows(500, start=5_000)
    leads.STAGE.fill(leads.stage([(campaign.pk, list(again))]).block)
    with connection.cursor() as cursor:
        params = {"brand": campaign.brand_id, "as_of": NOW}
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + getattr(leads, sql), params)
        [(plan,)] = cursor.fetchall()
    stored = [node for node in _nodes(plan[0]["Plan"]) if _reads(node, "leads_lead")]
    assert stored
    assert max(node["Actual Rows"] for node in stored) <= 1  # of each of its loops


def test_new_leads_get_their_places_without_being_looked_up(campaign: Any) -> None:
    leads.STAGE.fill(leads.stage([(campaign.pk, list(lead_rows(500)))]).block)
    with connection.cursor() as cursor:
        params = {"brand": campaign.brand_id, "as_of": NOW}
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + leads.INSERT_BOTH, params)
        [(plan,)] = cursor.fetchall()
    assert not [node for node in _nodes(plan[0]["Plan"]) if _reads(node, "leads_lead")]
    people = set(Lead.objects.values_list("id", flat=True))
    assert set(CampaignLead.objects.values_list("lead_id", flat=True)) == people
    assert len(people) == 500


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _reads(node: dict[str, Any], table: str) -> bool:
    name = str(node.get("Relation Name", node.get("Index Name", "")))
    return "Scan" in node["Node Type"] and name.startswith(table)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)


@given(texts, texts)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("\\.", '"')
@example("\n\\.\n", "a\r\nb")
@example("\r", "\\N")
@example(",", "\ufeff'")
def test_any_text_arrives_as_it_was(campaign: Any, first: str, company: str) -> None:
    row = lead_row(1, first_name=first or "x", company=company or "x")
    merge(campaign, [lead_row(0), row, lead_row(2)])
    lead = Lead.objects.get(email=row.email)
    assert (lead.first_name, lead.company) == (row.first_name, row.company)


def test_a_known_lead_in_a_customers_file_stays_in_its_place(campaign: Any) -> None:
    merge(campaign, lead_rows(2))
    before = Lead.objects.get(email=lead_row(0).email)
    rows = [replace(lead_row(number, company="New Ltd"), joined_at=NOW) for number in (0, 5)]
    leads.merge(brand_id=campaign.brand_id, rows=rows)
    known, new = Lead.objects.filter(company="New Ltd").order_by("id")
    assert (known.joined_at, known.last_activity_at) == (before.joined_at, before.last_activity_at)
    assert (new.joined_at, new.last_activity_at) == (NOW, NOW)


def test_duplicates_in_one_batch_are_one_lead_and_the_last_wins(campaign: Any) -> None:
    twice = [lead_row(1), lead_row(2), lead_row(1, first_name="Later")]
    assert merge(campaign, twice) == Merged(seen=3, new=2)
    assert Lead.objects.get(email=lead_row(1).email).first_name == "Later"
    assert BillingAccount.objects.get().leads_used == 2


def test_changes_are_written_and_empty_fields_blank_nothing(campaign: Any) -> None:
    merge(campaign, lead_rows(3))
    changed = [
        lead_row(0, company="New Ltd"),
        lead_row(1, first_name="", custom="{}"),
        lead_row(2, status="BLOCKED"),
    ]
    assert merge(campaign, changed) == Merged(seen=3, changed=2)
    companies = dict(Lead.objects.values_list("email", "company"))
    assert companies[lead_row(0).email] == "New Ltd"
    kept = Lead.objects.get(email=lead_row(1).email)
    assert (kept.first_name, kept.custom) == ("First1", {"title": "Head of Sales"})
    assert Lead.objects.get(email=lead_row(2).email).status == "BLOCKED"


def test_the_campaign_joined_last_speaks_for_the_lead(campaign: Any) -> None:
    other = make_campaign()
    late = replace(lead_row(1), joined_at=NOW, status="PAUSED", category=7)
    merge(other, [late])
    merge(campaign, [replace(lead_row(1), status="COMPLETED", category=1)])
    lead = Lead.objects.get()
    assert (lead.status, lead.category, lead.joined_at) == ("PAUSED", 7, NOW)
    assert set(CampaignLead.objects.values_list("campaign_id", "status")) == {
        (other.pk, "PAUSED"),
        (campaign.pk, "COMPLETED"),
    }


def test_exactly_the_granted_leads_are_inserted_and_known_ones_still_updated(campaign: Any) -> None:
    merge(campaign, lead_rows(2))
    BillingAccount.objects.update(lead_quota=4)
    page = [lead_row(0, company="Updated"), *lead_rows(5, start=10)]
    assert merge(campaign, page) == Merged(
        seen=6, new=2, changed=1, refused=3, refusal="quota_exceeded"
    )
    assert set(Lead.objects.values_list("email", flat=True)) == {
        lead_row(n).email for n in (0, 1, 10, 11)
    }
    assert Lead.objects.get(email=lead_row(0).email).company == "Updated"
    assert CampaignLead.objects.count() == 4
    assert BillingAccount.objects.get().leads_used == 4


def test_after_the_trial_nothing_new_comes_in(campaign: Any) -> None:
    merge(campaign, lead_rows(1))
    BillingAccount.objects.update(trial_ends_at=timezone.now() - timedelta(seconds=1))
    assert merge(campaign, lead_rows(3)) == Merged(seen=3, refused=2, refusal="trial_expired")
    assert Lead.objects.count() == 1


def test_a_rollback_gives_the_quota_back(campaign: Any) -> None:

    with transaction.atomic():
        merge(campaign, lead_rows(5))
        transaction.set_rollback(True)
    assert (Lead.objects.count(), BillingAccount.objects.get().leads_used) == (0, 0)


def thread(lead: Lead, *rows: Any) -> Thread:
    return Thread(lead.id, rows)


def merge_messages(campaign: Any, *threads: Thread) -> Merged:
    return messages.merge(
        brand_id=campaign.brand_id, campaign_id=campaign.pk, threads=threads, fetched_at=NOW
    )


def test_messages_come_once_and_tell_their_lead(campaign: Any) -> None:
    merge(campaign, lead_rows(2))
    lead, silent = Lead.objects.order_by("email")
    sent = message_row(1, opens=1)
    reply = message_row(2, direction="reply", step=None)
    assert merge_messages(campaign, thread(lead, sent, reply, sent), thread(silent)) == Merged(
        seen=3, new=2
    )
    lead.refresh_from_db()
    assert (lead.replied, lead.last_activity_at) == (True, reply.sent_at)
    place = CampaignLead.objects.get(lead_id=lead.id)
    assert (place.replied, place.history_rank, place.history_at) == (True, 0, NOW)
    quiet = CampaignLead.objects.get(lead_id=silent.id)
    assert (quiet.replied, quiet.history_at) == (False, NOW)


def test_messages_again_update_opens_and_blank_nothing(campaign: Any) -> None:
    merge(campaign, lead_rows(1))
    lead = Lead.objects.get()
    merge_messages(campaign, thread(lead, message_row(1, opens=1)))
    again = merge_messages(campaign, thread(lead, message_row(1, opens=4, body="", subject="")))
    assert again == Merged(seen=1, changed=1)
    message = Message.objects.get()
    assert (message.opens, message.body, message.subject) == (4, "<div>Hello</div>", "A question")
    assert merge_messages(campaign, thread(lead)) == Merged()
    assert Message.objects.count() == 1


def test_a_bad_row_is_kept_once_with_its_reason(campaign: Any) -> None:
    bad = BadRow("no_email", "It has no e-mail address.", "{'a': '\x00\ud800'}")
    for _ in range(2):
        count = rejections.record(
            brand_id=campaign.brand_id, source="leads", bad=[bad, bad], campaign_id=campaign.pk
        )
        assert count == 1
    row = Rejection.objects.get()
    assert (row.reason, row.seen) == ("no_email", 2)
    assert "\x00" not in row.excerpt
