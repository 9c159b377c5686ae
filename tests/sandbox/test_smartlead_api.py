"""The shapes that clients of SmartLead see in production, and how it refuses."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import Running

KEY = "sl_shapes_2600_6_r0"
LEAD_FIELDS = {
    "id", "first_name", "last_name", "email", "phone_number", "company_name", "website", "location",
    "custom_fields", "linkedin_profile", "company_url", "is_unsubscribed",
    "unsubscribed_client_id_map",
}  # fmt: skip


def leads(running: Running, campaign: int, **params: Any) -> dict[str, Any]:
    answer = running.get(f"/campaigns/{campaign}/leads", KEY, **params)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def test_campaigns_are_a_bare_list(running: Running) -> None:
    campaigns = running.get("/campaigns", KEY).json()
    assert [campaign["status"] for campaign in campaigns][-1] == "DRAFTED"
    assert campaigns[-1]["scheduler_cron_value"] is None
    assert len(campaigns) == 6
    assert set(campaigns[0]) == {
        "id", "user_id", "name", "status", "created_at", "updated_at", "track_settings",
        "scheduler_cron_value", "min_time_btwn_emails", "max_leads_per_day", "stop_lead_settings",
        "schedule_start_time", "enable_ai_esp_matching", "send_as_plain_text",
        "follow_up_percentage", "unsubscribe_text", "parent_campaign_id", "client_id",
    }  # fmt: skip
    assert "tags" in running.get("/campaigns", KEY, include_tags="true").json()[0]


def test_a_page_of_leads_has_a_string_total_and_nests_the_lead(running: Running) -> None:
    page = leads(running, running.campaign(KEY), offset=3, limit=2)
    assert set(page) == {"total_leads", "offset", "limit", "data"}
    assert isinstance(page["total_leads"], str)
    assert (page["offset"], page["limit"], len(page["data"])) == (3, 2, 2)
    row = page["data"][0]
    assert set(row) == {
        "campaign_lead_map_id", "lead_category_id", "status", "created_at", "lead",
    }  # fmt: skip
    assert set(row["lead"]) == LEAD_FIELDS
    assert row["created_at"].endswith("Z")
    assert row["lead"]["id"] != row["campaign_lead_map_id"]


def test_all_pages_together_are_all_leads_once(running: Running) -> None:
    emails: list[str] = []
    for number in range(6):
        campaign = running.campaign(KEY, number)
        total = int(leads(running, campaign, limit=1)["total_leads"])
        for offset in range(0, total, 100):
            page = leads(running, campaign, offset=offset)
            emails += [row["lead"]["email"] for row in page["data"]]
        assert leads(running, campaign, offset=total)["data"] == []
    assert len(emails) == len(set(emails)) == 2600


def test_message_history_belongs_to_the_lead_and_not_to_its_place_in_the_campaign(
    running: Running,
) -> None:
    campaign = running.campaign(KEY)
    row = leads(running, campaign, emailStatus="is_replied", limit=1)["data"][0]
    path = f"/campaigns/{campaign}/leads"
    thread = running.get(f"{path}/{row['lead']['id']}/message-history", KEY).json()
    assert set(thread) == {"history", "from", "to"}
    assert thread["to"] == row["lead"]["email"]
    kinds = [message["type"] for message in thread["history"]]
    assert kinds[0] == "SENT"
    assert "REPLY" in kinds
    sent = thread["history"][0]
    assert sent["email_seq_number"] == "1"
    assert set(sent) - set(thread["history"][kinds.index("REPLY")]) == {
        "subject", "email_seq_number", "open_count", "click_count", "click_details",
    }  # fmt: skip
    times = [message["time"] for message in thread["history"]]
    assert times == sorted(times)
    by_map_id = running.get(f"{path}/{row['campaign_lead_map_id']}/message-history", KEY)
    assert by_map_id.json() == {}


def test_history_after_a_time_and_replies_as_text(running: Running) -> None:
    campaign = running.campaign(KEY)
    lead = leads(running, campaign, emailStatus="is_replied", limit=1)["data"][0]["lead"]["id"]
    path = f"/campaigns/{campaign}/leads/{lead}/message-history"
    whole = running.get(path, KEY).json()["history"]
    later = running.get(path, KEY, event_time_gt=whole[0]["time"]).json()["history"]
    assert later == whole[1:]
    plain = running.get(path, KEY, show_plain_text_response="true").json()["history"]
    assert all("<" not in m["email_body"] for m in plain if m["type"] == "REPLY")


def test_mails_written_by_hand_have_no_sequence_number(running: Running) -> None:
    campaign = running.campaign(KEY)
    page = leads(running, campaign, lead_category_id=1, limit=1)
    lead = page["data"][0]["lead"]["id"]
    history = running.get(f"/campaigns/{campaign}/leads/{lead}/message-history", KEY).json()
    numbers = [m["email_seq_number"] for m in history["history"] if m["type"] == "SENT"]
    assert numbers[-1] is None


def test_the_export_has_every_lead_of_the_page_view(running: Running) -> None:
    campaign = running.campaign(KEY)
    answer = running.get(f"/campaigns/{campaign}/leads-export", KEY)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    page = leads(running, campaign, limit=100)
    assert len(rows) == int(page["total_leads"])
    for exported, row in zip(rows, page["data"], strict=False):
        assert exported["id"] == str(row["lead"]["id"])
        assert exported["campaign_lead_map_id"] == str(row["campaign_lead_map_id"])
        assert exported["email"] == row["lead"]["email"]
        assert json.loads(exported["custom_fields"]) == row["lead"]["custom_fields"]
    replied = leads(running, campaign, emailStatus="is_replied", limit=1)["total_leads"]
    assert sum(int(row["reply_count"]) > 0 for row in rows) == int(replied)


def test_the_account_wide_list_goes_from_the_newest_lead_by_its_cursor(running: Running) -> None:
    ids: list[int] = []
    cursor: dict[str, int] = {}
    while True:
        answer = running.get("/leads/all", KEY, limit=1000, **cursor).json()
        assert answer["ok"] is True
        assert answer["data"]["totalCount"] == 2600
        if not answer["data"]["leads"]:
            assert answer["data"]["lastSeenLeadId"] is None
            break
        ids += [lead["id"] for lead in answer["data"]["leads"]]
        cursor = {"lastSeenLeadId": answer["data"]["lastSeenLeadId"]}
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) == 2600


def test_statistics_page_over_mails(running: Running) -> None:
    campaign = running.campaign(KEY)
    page = running.get(f"/campaigns/{campaign}/statistics", KEY, limit=5).json()
    assert set(page) == {"total_stats", "data", "offset", "limit"}
    assert int(page["total_stats"]) > 100
    assert set(page["data"][0]) == {
        "lead_name", "lead_email", "lead_category", "sequence_number", "stats_id",
        "email_campaign_seq_id", "seq_variant_id", "email_subject", "email_message", "sent_time",
        "open_time", "click_time", "reply_time", "open_count", "click_count", "is_unsubscribed",
        "is_bounced", "ignore_reply",
    }  # fmt: skip
    opened = running.get(
        f"/campaigns/{campaign}/statistics", KEY, email_status="opened", email_sequence_number=2
    ).json()
    assert {row["sequence_number"] for row in opened["data"]} == {2}
    assert all(row["open_time"] for row in opened["data"])


def test_a_lead_is_found_by_address_with_its_campaigns(running: Running) -> None:
    campaign = running.campaign(KEY)
    row = leads(running, campaign, limit=1)["data"][0]
    found = running.get("/leads/", KEY, email=row["lead"]["email"]).json()
    assert {name: found[name] for name in LEAD_FIELDS} == row["lead"]
    assert found["lead_campaign_data"][0]["campaign_id"] == campaign
    assert found["lead_campaign_data"][0]["campaign_lead_map_id"] == row["campaign_lead_map_id"]
    assert running.get("/leads/", KEY, email="nobody@nowhere.example").json() == {}


def test_categories_have_the_nine_known_and_one_of_the_customers_own(running: Running) -> None:
    known = running.get("/leads/fetch-categories", KEY).json()
    assert [category["id"] for category in known[:9]] == list(range(1, 10))
    assert known[9]["id"] > 100_000


@pytest.mark.parametrize("path", ["/campaigns", "/leads/all", "/campaigns/1/leads"])
def test_a_wrong_key_is_refused_everywhere(running: Running, path: str) -> None:
    answer = running.get(path, "sl_wrong")
    assert (answer.status_code, answer.json()) == (401, {"message": "Invalid API Key"})
    missing = running.client.get(f"/smartlead/api/v1{path}")
    assert (missing.status_code, missing.json()) == (401, {"message": "Invalid API Key"})


@pytest.mark.parametrize("agent", ["python-httpx/0.28.1", "python-requests/2.32", ""])
def test_a_default_python_user_agent_meets_cloudflare(running: Running, agent: str) -> None:
    answer = httpx.get(
        f"{running.url}/smartlead/api/v1/campaigns",
        params={"api_key": KEY},
        headers={"User-Agent": agent},
    )
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("leads", {"limit": 101}, '"limit" must be less than or equal to 100'),
        ("leads", {"limit": 0}, '"limit" must be greater than or equal to 1'),
        ("leads", {"offset": -1}, '"offset" must be greater than or equal to 0'),
        ("leads", {"offset": "x"}, '"offset" must be a number'),
        ("leads", {"status": "open"}, '"status" must be one of ['),
        ("leads", {"emailStatus": "opened"}, '"emailStatus" must be one of ['),
        ("leads", {"event_time_gt": "soon"}, '"event_time_gt" must be in ISO 8601 date format'),
        ("statistics", {"email_status": "is_opened"}, '"email_status" must be one of ['),
    ],
)
def test_validation_says_what_is_wrong(
    running: Running, path: str, params: dict[str, Any], message: str
) -> None:
    answer = running.get(f"/campaigns/{running.campaign(KEY)}/{path}", KEY, **params)
    assert answer.status_code == 400
    body = answer.json()
    assert set(body) == {"error", "message", "validation"}
    assert body["message"].startswith(message)


@pytest.mark.parametrize("name", ["last_seen_lead_id", "offset", "page"])
def test_the_account_wide_list_takes_only_its_own_cursor(running: Running, name: str) -> None:
    answer = running.get("/leads/all", KEY, **{name: 5})
    assert answer.status_code == 400
    assert answer.json()["message"] == f'"{name}" is not allowed'
    assert running.get("/leads/all", KEY, limit=1001).status_code == 400


def test_an_unknown_or_deleted_campaign_is_not_found(
    running: Running, new_key: Callable[..., str]
) -> None:
    key = new_key()
    campaign = running.campaign(key)
    assert running.get("/campaigns/1/leads", key).status_code == 404
    running.control("touch", key=key, what="delete_campaign", campaign=campaign)
    answer = running.get(f"/campaigns/{campaign}/leads", key)
    assert (answer.status_code, answer.json()) == (404, {"error": "Campaign not found"})
    assert campaign not in [c["id"] for c in running.get("/campaigns", key).json()]
