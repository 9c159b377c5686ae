"""SmartLead's webhooks: who is believed, what is kept, and what it makes of the leads.

The bodies are the sandbox's own, delivered as each test likes: twice, late, in another order.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Max
from django.test import Client
from django.utils import timezone

from billing.models import BillingAccount
from leads.hooks import address, event, inbox
from leads.ingest import leads as ingest
from leads.models import (
    Campaign,
    CampaignLead,
    Category,
    Delivery,
    Hook,
    Lead,
    Message,
    Rejection,
)
from leads.search import Filters
from leads.work import bulk, stride
from leads.work.bulk import Wish
from saas.tenancy import everyone, scope
from tests.factories import make_brand, make_user
from tests.leads.conftest import Account
from tests.leads.receiver import Received, receiver

Make = Callable[[str], Account]
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
KEY = "sl_hooks_60_2_r0"


@pytest.fixture
def told() -> Iterator[Received]:
    with receiver() as received:
        yield received


class Live:
    """A backfilled account with live updates, and the sandbox's events on their way to `told`."""

    def __init__(self, account: Account, told: Received, **hook: Any) -> None:
        self.account, self.told, self.brand = account, told, account.brand
        account.sandbox.control(
            "smartlead", "webhooks", {"key": account.key, "url": told.url, "events": EVENTS, **hook}
        )
        address.turn_on(brand_id=account.brand.pk, actor=account.owner)

    @property
    def path(self) -> str:
        with scope(self.brand):
            return "/" + address.url_of(Hook.objects.get()).split("/", 3)[3]

    def touch(self, what: str, **fields: Any) -> dict[str, Any]:
        """Make something happen to one lead; return its place."""
        done = self.account.sandbox.control(
            "smartlead", "touch", {"key": self.account.key, "what": what, **fields}
        )
        place: dict[str, Any] = done["touched"][0]
        return place

    def lead(self, place: dict[str, Any]) -> Lead:
        with scope(self.brand):
            row: Lead = Lead.objects.get(email=place["email"])
            return row

    def place(self, place: dict[str, Any]) -> CampaignLead:
        with scope(self.brand):
            row: CampaignLead = CampaignLead.objects.get(
                lead_id=self.lead(place).id, campaign__remote_id=place["campaign_id"]
            )
            return row

    def rows(self) -> list[Delivery]:
        with scope(self.brand):
            return list(Delivery.objects.order_by("id"))


EVENTS = [
    *("EMAIL_SENT", "FIRST_EMAIL_SENT", "EMAIL_OPEN", "EMAIL_LINK_CLICK", "EMAIL_REPLY"),
    *("EMAIL_BOUNCE", "LEAD_UNSUBSCRIBED", "LEAD_CATEGORY_UPDATED", "CAMPAIGN_STATUS_CHANGED"),
]


@pytest.fixture
def live(account: Make, told: Received) -> Live:
    a = account(KEY)
    a.start()
    a.drive()
    return Live(a, told)


def post(path: str, body: Any, **headers: str) -> int:
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    answer = Client().post(path, data=data, content_type="application/json", headers=headers)
    return int(answer.status_code)


def test_a_reply_is_a_message_a_category_and_an_activity(live: Live) -> None:
    place = live.touch("reply", category=1, seed=4, text="<p>Yes, on Tuesday.</p>")
    reply, category = sorted(live.told.wait(2), key=lambda told: str(told["event_type"]))
    before = live.account.count()
    assert [post(live.path, body) for body in (reply, category)] == [200, 200]
    assert live.account.count() == before  # the view does no work
    assert inbox.drain() == 2
    lead, at = live.lead(place), datetime.fromisoformat(reply["time_replied"])
    assert (lead.replied, lead.category, lead.last_activity_at) == (True, 1, at)
    row = live.place(place)
    assert (row.replied, row.category, row.history_rank) == (True, 1, 0)
    assert row.history_at > NEVER  # the event held all there was: nothing to fetch
    with scope(live.brand):
        newest = Message.objects.filter(lead_id=lead.id).latest("sent_at")
    assert (newest.direction, newest.body) == ("reply", "<p>Yes, on Tuesday.</p>")
    assert (newest.sender, newest.recipient) == (place["email"], reply["from_email"])
    assert [(d.state, d.note) for d in live.rows()] == [("done", ""), ("done", "")]


def test_the_message_of_a_webhook_and_of_the_history_are_one(live: Live) -> None:
    place = live.touch("reply", seed=2)
    (reply,) = live.told.wait(1)
    post(live.path, reply)
    inbox.drain()
    before = live.account.count()
    with scope(live.brand):
        CampaignLead.objects.update(history_at=NEVER)
    live.account.start()
    done = live.account.drive()
    assert (live.account.count(), done.messages_new) == (before, 0)
    with scope(live.brand):
        keys = Message.objects.filter(lead_id=live.lead(place).id).values_list("key", flat=True)
        assert f"reply:{reply['reply_message']['message_id']}" in set(keys)


def test_a_doubled_delivery_is_one_event(live: Live) -> None:
    live.touch("reply", category=2, times=2, seed=7)
    bodies = live.told.wait(4)
    assert [post(live.path, body) for body in bodies] == [200] * 4
    rows = live.rows()
    assert sorted(row.type for row in rows) == ["EMAIL_REPLY", "LEAD_CATEGORY_UPDATED"]
    assert inbox.drain() == 2
    assert inbox.drain() == 0


def test_two_webhooks_of_one_event_are_one_event(live: Live) -> None:
    live.account.sandbox.control(
        "smartlead", "webhooks", {"key": KEY, "url": live.told.url, "name": "Another"}
    )
    live.touch("reply", seed=3)
    bodies = live.told.wait(2)
    assert bodies[0]["webhook_id"] != bodies[1]["webhook_id"]
    assert [post(live.path, body) for body in bodies] == [200, 200]
    assert len(live.rows()) == 1


def test_an_older_category_does_not_win(live: Live) -> None:
    place = live.touch("category", category=1, seed=5)
    live.touch("category", category=3, lead=place["lead_id"], campaign=place["campaign_id"])
    first, last = sorted(live.told.wait(2), key=lambda body: body["event_timestamp"])
    for body in (last, first):
        assert post(live.path, body) == 200
        inbox.drain()
    assert live.lead(place).category == 3
    row = live.place(place)
    assert (row.category, row.category_at) == (3, datetime.fromisoformat(last["event_timestamp"]))


def test_a_page_that_was_asked_for_before_does_not_win(live: Live) -> None:
    place = live.touch("category", category=7, seed=5)
    before = live.lead(place)
    (body,) = live.told.wait(1)
    post(live.path, body)
    inbox.drain()
    row = live.place(place)

    def page(*, asked_at: datetime) -> None:
        old = ingest.LeadRow(
            email=before.email,
            joined_at=before.joined_at,
            remote_lead_id=row.remote_lead_id,
            map_id=row.map_id,
            status=row.status,
            category=before.category,
        )
        with scope(live.brand):
            ingest.merge(
                brand_id=live.brand.pk, campaign_id=row.campaign_id, rows=[old], as_of=asked_at
            )

    page(asked_at=row.category_at)
    assert (live.lead(place).category, live.place(place).category) == (7, 7)
    page(asked_at=row.category_at + timedelta(minutes=5))
    assert live.lead(place).category == live.place(place).category == before.category


def test_events_in_any_order_come_to_the_same(live: Live) -> None:
    place = live.touch("reply", category=1, seed=9)
    where = {"lead": place["lead_id"], "campaign": place["campaign_id"]}
    live.touch("category", category=5, **where)
    live.touch("unsubscribe", **where)
    bodies = live.told.wait(4)
    for body in reversed(bodies):
        post(live.path, body)
    with scope(live.brand):
        Delivery.objects.update(next_attempt_at=timezone.now())
    inbox.drain()
    lead = live.lead(place)
    assert (lead.category, lead.replied, lead.unsubscribed) == (5, True, True)


def test_a_late_event_knows_no_better_who_a_lead_is(live: Live) -> None:
    place = live.touch("category", category=2, seed=5)
    (body,) = live.told.wait(1)
    body["lead_data"] |= {"company_name": "What it was called before", "is_unsubscribed": True}
    before = live.lead(place)
    post(live.path, body)
    inbox.drain()
    lead = live.lead(place)
    assert (lead.company, lead.category, lead.unsubscribed) == (before.company, 2, True)


def test_what_an_event_does_not_tell_is_fetched_by_the_next_sync(live: Live) -> None:
    place = live.touch("reply", seed=1)
    (body,) = live.told.wait(1)
    opened = {
        **{k: v for k, v in body.items() if k not in ("reply_message", "sent_message")},
        "event_type": "EMAIL_OPEN",
    }
    with scope(live.brand):
        CampaignLead.objects.update(history_rank=2)
    post(live.path, opened)
    inbox.drain()
    row = live.place(place)
    assert (row.history_at, row.history_rank) == (NEVER, 1)
    del body["reply_message"]
    post(live.path, body)
    inbox.drain()
    row = live.place(place)
    assert (row.history_at, row.history_rank, row.replied) == (NEVER, 0, True)


def test_a_sent_mail_is_a_message(live: Live) -> None:
    place = live.touch("reply", seed=1)
    (body,) = live.told.wait(1)
    mail = {"message_id": "<step-3@mail.example>", "html": "<p>Third</p>", "time": "2026-05-01"}
    sent = {k: v for k, v in body.items() if k not in ("reply_message", "reply_body")}
    sent |= {"event_type": "EMAIL_SENT", "sequence_number": 3, "sent_message": mail}
    with scope(live.brand):
        CampaignLead.objects.update(history_at=NEVER)
    post(live.path, sent)
    inbox.drain()
    with scope(live.brand):
        message = Message.objects.get(key="sent:<step-3@mail.example>")
    assert (message.step, message.body, message.recipient) == (3, "<p>Third</p>", place["email"])
    assert live.place(place).history_at == NEVER  # one mail is not the thread


def test_a_campaign_that_stops(live: Live) -> None:
    with scope(live.brand):
        campaign = Campaign.objects.first()
    told = {
        "event_type": "CAMPAIGN_STATUS_CHANGED",
        "campaign_id": campaign.remote_id,
        "campaign_name": campaign.name,
    }
    now = timezone.now()
    for status, minutes in (("PAUSED", 2), ("ACTIVE", 1)):
        at = (now + timedelta(minutes=minutes)).isoformat()
        post(live.path, {**told, "campaign_status": status, "event_timestamp": at})
        inbox.drain()
    with scope(live.brand):
        assert Campaign.objects.get(pk=campaign.pk).status == "PAUSED"


def test_an_unknown_lead_is_admitted_like_any_other(live: Live) -> None:
    with scope(live.brand):
        used = BillingAccount.objects.get().leads_used
        BillingAccount.objects.update(lead_quota=used + 1)
    live.touch("reply", seed=1)
    (body,) = live.told.wait(1)
    for number in (1, 2):
        new = {
            **body,
            "campaign_id": 777,
            "campaign_name": "Autumn",
            "sl_email_lead_id": str(9_000_000 + number),
            "sl_email_lead_map_id": 8_000_000 + number,
            "sl_lead_email": f"New{number}@Example.test",
            "to_name": "Nora New",
        }
        assert post(live.path, new) == 200
        inbox.drain()
    with scope(live.brand):
        assert BillingAccount.objects.get().leads_used == used + 1
        lead = Lead.objects.get(email="new1@example.test")
        assert (lead.first_name, lead.last_name, lead.replied) == ("Nora", "New", True)
        assert not Lead.objects.filter(email="new2@example.test").exists()
        assert Campaign.objects.get(remote_id=777).name == "Autumn"
        assert Message.objects.filter(lead_id=lead.id).count() == 2
    assert [row.note for row in live.rows()] == ["", "left out: quota_exceeded"]


def test_unknown_events_are_kept_and_done(live: Live) -> None:
    before = live.account.count()
    assert post(live.path, {"event_type": "MANUAL_STEP_REACHED", "campaign_id": 1}) == 200
    inbox.drain()
    (row,) = live.rows()
    assert (row.state, row.note) == ("done", "not used")
    assert live.account.count() == before


def test_bad_rows_become_rejections(live: Live) -> None:
    bad = {"event_type": "EMAIL_REPLY", "campaign_id": 5, "sl_lead_email": "nobody\x00@x.test"}
    for body in (
        bad,
        {**bad, "sl_lead_email": "not an address", "stats_id": "b"},
        {**bad, "campaign_id": [], "stats_id": "c"},
        {"event_type": "EMAIL_REPLY"},
        {"event_type": "EMAIL_OPEN", "campaign_id": 5, "to_email": "who@x.test"},
        {"event_type": "CAMPAIGN_STATUS_CHANGED", "campaign_id": "\ud800"},
    ):
        assert post(live.path, body) == 200
    assert inbox.drain() == 6
    assert {row.state for row in live.rows()} == {"done"}
    with scope(live.brand):
        reasons = Rejection.objects.filter(source="webhook").values_list("reason", flat=True)
        assert sorted(reasons) == [
            *("bad_email", "no_campaign", "no_campaign", "no_campaign", "nul", "wrong_type")
        ]


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b"[" * 100_000, b"\xff\xfe", b'{"event_type": 5}', b'{"a": 1}',
     b'{"event_type": ""}', b'{"event_type": "' + b"x" * 61 + b'"}',
     b'{"event_type": "EMAIL_OPEN", "x": ' + b"[" * 990 + b"]" * 990 + b"}"],
)  # fmt: skip
def test_garbage_is_refused_and_leaves_nothing(brand: Any, sandbox: Any, body: bytes) -> None:
    assert post(hook_of(brand), body) == 400
    with scope(brand):
        assert not Delivery.objects.exists()


def hook_of(brand: Any) -> str:
    from tests.leads.factories import make_connection

    with scope(brand):
        make_connection()
        hook = address.turn_on(brand_id=brand.pk, actor=None)
        return "/" + address.url_of(hook).split("/", 3)[3]


OPEN = {"event_type": "EMAIL_OPEN", "campaign_id": 1, "stats_id": "s", "event_timestamp": "2026"}


def test_too_large(brand: Any) -> None:
    path = hook_of(brand)
    assert post(path, {**OPEN, "x": "y" * 2 * 1024 * 1024}) == 413
    assert post(path, {**OPEN, "x": "y" * (2 * 1024 * 1024 - 1000)}) == 200
    with scope(brand):
        assert Delivery.objects.count() == 1


def test_a_wrong_token_is_nobodys(brand: Any) -> None:
    path = hook_of(brand)
    for wrong in ("/webhooks/smartlead/x/", path[:-2] + "/", "/webhooks/smartlead/%00/"):
        assert post(wrong, OPEN) == 404
    assert Client().get(path).status_code == 405
    with everyone("test"):
        assert not Delivery.objects.exists()


def test_the_token_of_another_brand_writes_there_alone(brand: Any) -> None:
    other = make_brand(owner=make_user())
    hook_of(brand)
    assert post(hook_of(other), OPEN) == 200
    with scope(brand):
        assert not Delivery.objects.exists()
    with scope(other):
        assert Delivery.objects.count() == 1


def test_the_same_event_of_two_brands_is_two(brand: Any) -> None:
    other = make_brand(owner=make_user())
    assert [post(hook_of(each), OPEN) for each in (brand, other)] == [200, 200]
    with everyone("test"):
        assert Delivery.objects.count() == 2


def signed(body: str, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


def test_a_secret_is_demanded_once_it_is_set(brand: Any) -> None:
    path = hook_of(brand)
    assert post(path, {**OPEN, "stats_id": "0", "secret_key": "whatever"}) == 200
    address.set_secret(brand_id=brand.pk, secret="s3cret", actor=None)
    for body in (OPEN, {**OPEN, "secret_key": "wrong"}, {**OPEN, "secret_key": ["s3cret"]}):
        assert post(path, body) == 403
    with scope(brand):
        assert Delivery.objects.count() == 1
    assert post(path, {**OPEN, "secret_key": "s3cret"}) == 200
    with scope(brand):
        kept = Delivery.objects.latest("id").body
        assert Delivery.objects.count() == 2
    assert "s3cret" not in kept
    assert "secret_key" not in kept


def test_a_signature_is_checked_when_it_comes(brand: Any) -> None:
    path = hook_of(brand)
    address.set_secret(brand_id=brand.pk, secret="s3cret", actor=None)
    text = json.dumps(OPEN)
    name = "X-Smartlead-Signature"
    for wrong in (signed(text, "other"), "sha256=", signed(text, "s3cret")[7:], "\xe9"):
        assert post(path, text, **{name: wrong}) == 403
        assert post(path, {**OPEN, "secret_key": "s3cret"}, **{name: wrong}) == 403
    assert post(path, text, **{name: signed(text, "s3cret")}) == 200


def test_the_sandboxs_signed_webhooks_are_believed(account: Make, told: Received) -> None:
    live = Live(account(KEY), told, secret="s3cret", signed=True)
    address.set_secret(brand_id=live.brand.pk, secret="s3cret", actor=None)
    live.touch("reply")
    told.wait(1)
    ((body, headers),) = told.mails
    signature = {"X-Smartlead-Signature": headers["X-Smartlead-Signature"]}
    assert post(live.path, body, **signature) == 200
    assert post(live.path, body + b" ", **signature) == 403


def test_a_replaced_token_is_dead_at_once(brand: Any) -> None:
    old = hook_of(brand)
    hook = address.rotate(brand_id=brand.pk, actor=None)
    new = "/" + address.url_of(hook).split("/", 3)[3]
    assert old != new
    assert [post(old, OPEN), post(new, OPEN)] == [404, 200]


def test_tokens_are_sealed_and_outlive_a_rotation_of_the_sealing_key(
    brand: Any, settings: Any
) -> None:
    from saas import rotation
    from tests.saas.test_rotation import NEW

    path = hook_of(brand)
    with scope(brand):
        hook = Hook.objects.get()
        assert path.split("/")[3] not in json.dumps(
            [hook.token.token, hook.token_hash, hook.secret.token]
        )
    settings.SEALING_KEYS = f"{NEW},{settings.SEALING_KEYS}"
    reports = {report.place: report.resealed for report in rotation.rotate()}
    assert reports["leads_hook.token"] == 1
    with scope(brand):
        hook = Hook.objects.get()
        assert hook.token.token.startswith("new:")
        assert address.url_of(hook).endswith(path)
    assert post(path, OPEN) == 200


def test_a_disconnected_or_closed_brand_takes_nothing(brand: Any) -> None:
    from leads import connections

    path = hook_of(brand)
    connections.disconnect(brand_id=brand.pk, actor=None)
    assert post(path, OPEN) == 404


def test_a_worker_that_dies_is_followed_by_another_and_nothing_is_done_twice(live: Live) -> None:
    place = live.touch("reply", seed=4)
    (body,) = live.told.wait(1)
    post(live.path, body)
    messages = live.account.count()[2]
    (dead,) = inbox._claim(live.brand.pk, again=False)  # and then it is killed
    assert inbox.drain() == 0
    with scope(live.brand):
        Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    inbox.sweep()
    assert inbox.drain() == 1
    (row,) = live.rows()
    assert (row.state, row.attempts) == ("done", 2)
    inbox.work(dead)  # the dead one was only slow
    assert live.rows()[0].processed_at == row.processed_at
    assert live.account.count()[2] == messages + 1
    assert live.lead(place).replied


@pytest.mark.parametrize("error", [LookupError("surprise"), Lead.DoesNotExist("surprise")])
def test_what_fails_again_and_again_is_parked_and_can_be_tried_again(
    live: Live, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    live.touch("reply", seed=4)
    (body,) = live.told.wait(1)
    post(live.path, body)
    before = live.account.count()

    def broken(*_: Any, **__: Any) -> str:
        raise error

    real = inbox.apply
    monkeypatch.setattr(inbox, "apply", broken)
    for _ in range(inbox.MOST_ATTEMPTS + 2):
        with scope(live.brand):
            Delivery.objects.update(next_attempt_at=timezone.now())
        inbox.drain()
    (row,) = live.rows()
    assert (row.state, row.attempts, row.last_error) == (
        "parked", inbox.MOST_ATTEMPTS, f"{type(error).__name__}: surprise",
    )  # fmt: skip
    assert live.account.count() == before
    monkeypatch.setattr(inbox, "apply", real)
    with everyone("test"):
        assert inbox.retry([row.pk]) == 1
    assert inbox.drain() == 1
    assert live.rows()[0].state == "done"
    assert live.account.count()[2] == before[2] + 1


def test_what_is_done_is_forgotten_after_a_week(live: Live) -> None:
    for stats in ("a", "b"):
        post(live.path, {"event_type": "OTHER", "stats_id": stats})
    inbox.drain()
    old, new = live.rows()
    with scope(live.brand):
        Delivery.objects.filter(pk=old.pk).update(processed_at=timezone.now() - inbox.KEPT)
    inbox.sweep()
    assert [row.pk for row in live.rows()] == [new.pk]


def test_a_new_category_has_its_name_at_once(live: Live) -> None:
    live.touch("category", category=2, seed=5)
    (body,) = live.told.wait(1)
    body["lead_category"] |= {"new_id": 70_123, "new_name": "Call back\x00 later"}
    post(live.path, body)
    inbox.drain()
    with scope(live.brand):
        assert Category.objects.get(remote_id=70_123).name.startswith("Call back")


def by_hand(live: Live, what: str, place: dict[str, Any], **more: Any) -> None:
    """Have a person change the lead of the place."""
    lead_id, brand_id, actor = live.lead(place).id, live.brand.pk, live.account.owner
    with scope(live.brand):
        wish = Wish(what, Filters(), ticked=(lead_id,), **more)
        key = uuid.uuid4()
        job = bulk.start(brand_id=brand_id, wish=wish, request_key=key, actor=actor)
    stride.stride(brand_id, job.pk)


def test_an_event_does_not_bring_a_deleted_lead_back(live: Live) -> None:
    place = live.touch("reply", category=1, seed=4)
    by_hand(live, "delete", place)
    before = live.account.count()
    for body in live.told.wait(2):
        assert post(live.path, body) == 200
    assert inbox.drain() == 2
    assert [(row.state, row.note) for row in live.rows()] == [
        ("done", "left out: deleted here")
    ] * 2
    assert live.account.count() == before


def test_of_a_person_s_category_and_an_event_s_the_later_holds(live: Live) -> None:
    place = live.touch("category", category=1, seed=5)
    (older,) = live.told.wait(1)
    by_hand(live, "category", place, category=3)
    post(live.path, older)
    inbox.drain()
    assert (live.lead(place).category, live.place(place).category) == (3, 3)
    live.touch("category", category=2, lead=place["lead_id"], campaign=place["campaign_id"])
    newer = live.told.wait(2)[-1]
    newer["event_timestamp"] = (timezone.now() + timedelta(seconds=1)).isoformat()
    post(live.path, newer)
    inbox.drain()
    lead = live.lead(place)
    assert (lead.category, lead.category_set_at, live.place(place).category) == (2, None, 2)


def test_one_brands_flood_does_not_hold_up_another(brand: Any) -> None:
    other = make_brand(owner=make_user())
    flood, calm = hook_of(brand), hook_of(other)
    for number in range(30):
        post(flood, {"event_type": "OTHER", "stats_id": str(number)})
    post(calm, {"event_type": "OTHER"})
    assert inbox.drain() == 31
    with everyone("test"):
        ends = dict(
            Delivery.objects.values_list("brand_id").annotate(end=Max("processed_at")).order_by()
        )
    assert ends[other.pk] < ends[brand.pk]


def test_the_key_is_of_the_event_and_not_of_the_delivery() -> None:
    key = event.key_of(OPEN)
    assert event.key_of({**OPEN, "webhook_id": 5, "secret_key": "x", "metadata": {}}) == key
    assert event.key_of({**OPEN, "campaign_name": "Renamed"}) == key
    for other in ({"stats_id": "t"}, {"event_timestamp": "2027"}, {"event_type": "EMAIL_SENT"}):
        assert event.key_of({**OPEN, **other}) != key
    bare = {"event_type": "OTHER", "x": 1}
    assert event.key_of(bare) == event.key_of({**bare, "webhook_id": 2})
    assert event.key_of(bare) != event.key_of({**bare, "x": 2})


def test_an_event_from_the_future_holds_for_minutes_at_most() -> None:
    now = timezone.now()
    read = event.read({"event_type": "X", "event_timestamp": "2150-01-01T00:00:00Z"}, now)
    assert read.at == now + event.AHEAD
