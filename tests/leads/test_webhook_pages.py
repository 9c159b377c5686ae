"""Live updates on the connection's page, and webhooks that Harbor sets up at SmartLead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.utils import timezone

from leads import connections
from leads.backfill import engine
from leads.hooks import address, inbox, remote
from leads.models import Campaign, Connection, Delivery, Hook
from saas.tenancy import everyone, scope
from tests.factories import make_user
from tests.leads.conftest import Account
from tests.leads.factories import make_connection

Make = Callable[[str], Account]
Login = Callable[[Any], Client]


@pytest.fixture
def web(client_for: Login, owner: Any) -> Client:
    return client_for(owner)


def page(web: Client, brand: Any) -> str:
    return web.get(f"/b/{brand.slug}/connection/").content.decode()


def press(web: Client, brand: Any, action: str, **data: str) -> str:
    answer = web.post(f"/b/{brand.slug}/connection/updates/{action}/", data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def hook(brand: Any) -> Hook:
    with scope(brand):
        found: Hook = Hook.objects.select_related("connection").get()
        return found


def journal() -> list[str]:
    """What was decided about webhooks and their events, in order."""
    entries = LogEntry.objects.filter(content_type__model__in=("hook", "delivery")).order_by("pk")
    return [entry.additional_data["event"] for entry in entries]


def at_smartlead(account: Account) -> dict[int, list[str]]:
    """The addresses that SmartLead knows, by campaign."""
    listed = account.sandbox.control("smartlead", "webhooks")["webhooks"]
    found: dict[int, list[str]] = {}
    for each in listed:
        if each["key"] == account.key:
            found.setdefault(each["campaign"], []).append(each["url"])
    return found


def test_from_off_to_an_address_that_can_be_copied(web: Client, brand: Any) -> None:
    with scope(brand):
        make_connection()
    assert "Turn on" in page(web, brand)
    shown = press(web, brand, "on")
    url = address.url_of(hook(brand))
    assert f'data-copy="{url}"' in shown
    assert "Nothing yet" in shown
    press(web, brand, "on")
    assert address.url_of(hook(brand)) == url
    Client().post(url, data='{"event_type": "OTHER"}', content_type="application/json")
    shown = page(web, brand)
    assert "1 event" in shown
    assert "Nothing yet" not in shown


def test_an_address_needs_a_connection(web: Client, brand: Any) -> None:
    assert "Connect SmartLead first." in press(web, brand, "on")
    with scope(brand):
        assert not Hook.objects.exists()


def test_replacing_the_address_is_journalled(web: Client, brand: Any) -> None:
    with scope(brand):
        make_connection()
    press(web, brand, "on")
    before = address.url_of(hook(brand))
    shown = press(web, brand, "rotate")
    assert before not in shown
    assert address.url_of(hook(brand)) in shown
    assert journal() == ["webhook.created", "webhook.rotated"]


def test_a_secret_is_set_shown_and_removed(web: Client, brand: Any) -> None:
    with scope(brand):
        make_connection()
    press(web, brand, "on")
    shown = press(web, brand, "secret", secret="s3cret-key")
    assert 'data-copy="s3cret-key"' in shown
    assert hook(brand).secret.reveal() == "s3cret-key"
    assert "Remove the secret key first" in press(web, brand, "setup")
    assert not hook(brand).managed
    press(web, brand, "secret", secret="")
    assert not hook(brand).secret


def test_one_button_sets_up_every_campaign(web: Client, account: Make) -> None:
    a = account("sl_setup_30_3_r0")
    press(web, a.brand, "on")
    assert "We are setting up" in press(web, a.brand, "setup")
    remote.carry_on(a.brand.pk)
    url = address.url_of(hook(a.brand))
    with scope(a.brand):
        remotes = set(Campaign.objects.values_list("remote_id", flat=True))
        assert not Campaign.objects.filter(hook_id=None).exists()
    assert at_smartlead(a) == {number: [url] for number in remotes}
    assert hook(a.brand).due_at is None
    assert "in all 3 campaigns" in page(web, a.brand)


def test_a_new_address_replaces_the_old_one_at_smartlead(web: Client, account: Make) -> None:
    a = account("sl_setup_30_2_r0")
    press(web, a.brand, "on")
    press(web, a.brand, "setup")
    remote.carry_on(a.brand.pk)
    press(web, a.brand, "rotate")
    assert "0 of 2 campaigns" in page(web, a.brand)
    remote.carry_on(a.brand.pk)
    url = address.url_of(hook(a.brand))
    assert list(at_smartlead(a).values()) == [[url], [url]]


def test_a_worker_that_died_after_the_call_makes_no_second_webhook(account: Make) -> None:
    a = account("sl_setup_30_2_r0")
    address.turn_on(brand_id=a.brand.pk, actor=a.owner)
    address.manage(brand_id=a.brand.pk, actor=a.owner)
    remote.carry_on(a.brand.pk)
    with scope(a.brand):  # the commit of one never happened
        first = Campaign.objects.first()
        Campaign.objects.filter(pk=first.pk).update(hook_id=None, hook_for="")
        remote.want(a.brand.pk)
    remote.carry_on(a.brand.pk)
    assert [len(urls) for urls in at_smartlead(a).values()] == [1, 1]
    with scope(a.brand):
        assert not Campaign.objects.filter(hook_id=None).exists()


def test_a_webhook_that_an_answer_does_not_name_is_looked_up(
    account: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = account("sl_setup_30_2_r0")
    address.turn_on(brand_id=a.brand.pk, actor=a.owner)
    address.manage(brand_id=a.brand.pk, actor=a.owner)
    save = remote.client.save_webhook

    def nameless(*args: Any, **fields: Any) -> tuple[Any, Any]:
        _, answer = save(*args, **fields)
        return {"ok": True}, answer

    monkeypatch.setattr(remote.client, "save_webhook", nameless)
    remote.carry_on(a.brand.pk)
    with scope(a.brand):
        assert not Campaign.objects.filter(hook_id=None).exists()


def test_what_smartlead_refuses_is_tried_thrice_and_said(web: Client, account: Make) -> None:
    a = account("sl_setup_30_2_r0")
    a.fault("not_found", path="webhooks$")
    press(web, a.brand, "on")
    press(web, a.brand, "setup")
    remote.carry_on(a.brand.pk)
    a.no_faults()
    with scope(a.brand):
        assert set(Campaign.objects.values_list("hook_failures", flat=True)) == {remote.GIVE_UP}
    assert "SmartLead refused 2" in page(web, a.brand)
    remote.carry_on(a.brand.pk)
    assert at_smartlead(a) == {}
    press(web, a.brand, "setup")
    remote.carry_on(a.brand.pk)
    assert len(at_smartlead(a)) == 2


def test_an_outage_is_waited_for(account: Make) -> None:
    a = account("sl_setup_30_2_r0")
    address.turn_on(brand_id=a.brand.pk, actor=a.owner)
    address.manage(brand_id=a.brand.pk, actor=a.owner)
    a.fault("500", path="webhooks$")
    remote.carry_on(a.brand.pk)
    a.no_faults()
    row = hook(a.brand)
    assert row.due_at > timezone.now()
    assert row.lease_until is None
    with scope(a.brand):
        assert set(Campaign.objects.values_list("hook_failures", flat=True)) == {0}
        Hook.objects.update(due_at=row.created_at)
    remote.carry_on(a.brand.pk)
    assert len(at_smartlead(a)) == 2


def test_a_refused_key_is_said(account: Make) -> None:
    a = account("sl_setup_30_2_r0")
    address.turn_on(brand_id=a.brand.pk, actor=a.owner)
    with scope(a.brand):
        connection = Connection.objects.get()
        connection.api_key = "not-a-key-of-anybody"
        connection.save()
    address.manage(brand_id=a.brand.pk, actor=a.owner)
    remote.carry_on(a.brand.pk)
    with scope(a.brand):
        assert Connection.objects.get().state == "refused"
    assert hook(a.brand).due_at is None


def test_who_may_not_manage_connections_sees_no_address(
    web: Client, client_for: Login, brand: Any
) -> None:
    from accounts.models import Membership

    with scope(brand):
        make_connection()
        viewer = make_user()
        Membership.objects.create(user=viewer, role="viewer")
    press(web, brand, "on")
    assert client_for(viewer).get(f"/b/{brand.slug}/connection/").status_code == 403


def test_disconnecting_ends_the_address(web: Client, brand: Any) -> None:
    with scope(brand):
        make_connection()
    press(web, brand, "on")
    url = address.url_of(hook(brand))
    connections.disconnect(brand_id=brand.pk, actor=None)
    answer = Client().post(url, data='{"event_type": "X"}', content_type="application/json")
    assert answer.status_code == 404


def set_up(a: Account) -> None:
    address.turn_on(brand_id=a.brand.pk, actor=a.owner)
    address.manage(brand_id=a.brand.pk, actor=a.owner)
    remote.carry_on(a.brand.pk)


def leave(web: Client, a: Account) -> str:
    answer = web.post(f"/b/{a.brand.slug}/connection/disconnect/", follow=True)
    with scope(a.brand):
        row = Connection.objects.get()
        assert (row.state, bool(row.api_key)) == (Connection.State.DISCONNECTED, False)
    return " ".join(str(message) for message in answer.context["messages"])


def test_disconnecting_takes_our_webhooks_away_and_connecting_brings_them_back(
    web: Client, account: Make
) -> None:
    a = account("sl_leave_30_3_r0")
    set_up(a)
    theirs = "https://crm.example.test/hook"
    a.sandbox.control("smartlead", "webhooks", {"key": a.key, "url": theirs})
    assert "and our webhooks at SmartLead" in page(web, a.brand)
    assert leave(web, a) == "SmartLead is disconnected, and its key is deleted."
    assert list(at_smartlead(a).values()) == [[theirs]]
    connections.connect(brand_id=a.brand.pk, api_key=a.key, actor=a.owner)
    remote.carry_on(a.brand.pk)
    url = address.url_of(hook(a.brand))
    assert sorted(at_smartlead(a).values()) == sorted([[theirs], [url], [url], [url]])


@pytest.mark.parametrize("fault", ["500", "524", "reset", "429"])
def test_webhooks_that_can_t_be_removed_are_told_and_hold_nothing_up(
    web: Client, account: Make, fault: str
) -> None:
    a = account("sl_stuck_30_2_r0")
    set_up(a)
    a.fault(fault, path="webhooks$", delay=0)
    said = leave(web, a)
    a.no_faults()
    assert said.startswith("SmartLead is disconnected, and its key is deleted. We couldn't remove")
    assert "from 2 campaigns at SmartLead" in said
    assert len(at_smartlead(a)) == 2


def test_webhooks_that_are_gone_already_are_no_fault(web: Client, account: Make) -> None:
    a = account("sl_gone_30_2_r0")
    set_up(a)
    a.fault("not_found", path="webhooks$")
    assert leave(web, a) == "SmartLead is disconnected, and its key is deleted."


def test_a_refused_key_is_not_called_with_again(web: Client, account: Make) -> None:
    a = account("sl_norights_30_1_r0")
    set_up(a)
    with scope(a.brand):
        Connection.objects.update(state=Connection.State.REFUSED)
    calls = a.counters()["calls"]
    assert "from one campaign at SmartLead" in leave(web, a)
    assert a.counters()["calls"] == calls


def test_staff_see_the_inbox_and_may_try_again(
    brand: Any, client_for: Login, settings: Any
) -> None:
    settings.DEBUG = True  # outside of it staff need a second factor, which is proven elsewhere
    staff = client_for(make_user(is_staff=True, is_superuser=True))
    with scope(brand):
        row = Delivery.objects.create(key="k", type="OTHER", body="{}", state="parked")
    listed = staff.get("/admin/leads/delivery/").content.decode()
    assert "OTHER" in listed
    assert staff.get("/admin/leads/delivery/add/").status_code == 403
    staff.post(
        "/admin/leads/delivery/", {"action": "retry", "_selected_action": [row.pk]}, follow=True
    )
    inbox.drain()
    with scope(brand):
        assert Delivery.objects.get().state == "done"
    assert journal() == ["smartlead_event.retried"]


def test_the_inbox_has_gauges(brand: Any) -> None:
    from leads.hooks import gauges

    with scope(brand):
        for number, state in enumerate(("pending", "pending", "parked", "done")):
            Delivery.objects.create(key=str(number), type="X", body="{}", state=state)
    with everyone("test"):
        found = {(g.name, g.labels.get("state")): g.value for g in gauges.gauges()}
    assert found["harbor_smartlead_inbox_events", "pending"] == 2
    assert found["harbor_smartlead_inbox_events", "parked"] == 1
    assert 0 <= found["harbor_smartlead_inbox_age_seconds", None] < 60


def test_a_brand_takes_its_events_along_and_they_are_erased(brand: Any) -> None:
    from accounts import privacy

    with scope(brand):
        Delivery.objects.create(key="k", type="OTHER", body='{"a": 1}')
    holding = {h.name: h for h in privacy.holdings()}["smartlead_events"]
    assert [row["body"] for row in holding.rows(brand.pk)] == ['{"a": 1}']
    with scope(brand):
        assert holding.erase
        assert (holding.erase(), holding.erase()) == (1, 0)


def test_an_address_is_never_logged() -> None:
    from saas.observability.logs import redact

    assert redact("Forbidden: /webhooks/smartlead/abc-DEF_1/") == (
        "Forbidden: /webhooks/smartlead/[redacted]/"
    )
    assert redact("POST /webhooks/stripe/ 200") == "POST /webhooks/stripe/ 200"


def test_the_schedule_of_updates_is_said_and_changed(web: Client, account: Make) -> None:
    a = account("sl_schedule_20_1_r0")
    assert "After your first backfill we fetch what is new by ourselves." in page(web, a.brand)
    a.start()
    a.drive()
    assert "We ask SmartLead every hour for new leads" in page(web, a.brand)
    path = f"/b/{a.brand.slug}/connection/schedule/"
    assert web.post(path, {"sync_every": "360"}).status_code == 302
    with scope(a.brand):
        assert Connection.objects.get().sync_every == 360
    assert "every 6 hours" in page(web, a.brand)
    assert web.post(path, {"sync_every": "7"}).status_code == 422
    web.post(path, {"sync_every": "0"})
    assert "Regular updates are off." in page(web, a.brand)


def test_updates_are_listed_apart_from_backfills(web: Client, account: Make) -> None:
    from leads.backfill import sync

    a = account("sl_listed_20_1_r0")
    a.start()
    first = a.drive()
    with scope(a.brand):
        Connection.objects.update(sync_due_at=timezone.now())
    sync.start_due()
    listed = web.get(f"/b/{a.brand.slug}/backfills/")
    assert "An update is under way." in listed.content.decode()
    assert "Plan a backfill" in listed.content.decode()
    update = a.drive()
    listed = web.get(f"/b/{a.brand.slug}/backfills/")
    assert [row["backfill"].pk for row in listed.context["past"]] == [first.pk]
    assert [row["backfill"].pk for row in listed.context["updates"]] == [update.pk]
    shown = web.get(f"/b/{a.brand.slug}/backfills/{update.pk}/").content.decode()
    assert "You have what SmartLead had when it began." in shown
    assert "Leads with events" in shown


def test_a_campaign_that_a_sync_finds_is_set_up_too(account: Make) -> None:
    from leads.backfill import sync

    a = account("sl_setupnew_20_2_r0")
    a.start()
    a.drive()
    address.turn_on(brand_id=a.brand.pk, actor=a.owner)
    address.manage(brand_id=a.brand.pk, actor=a.owner)
    with scope(a.brand):  # it is not known yet
        Campaign.objects.filter(pk=Campaign.objects.first().pk).delete()
    remote.carry_on(a.brand.pk)
    assert len(at_smartlead(a)) == 1
    with scope(a.brand):
        Connection.objects.update(sync_due_at=timezone.now())
    sync.start_due()
    for bulk in (False, True):
        engine.stride(a.brand.pk, a.run().pk, bulk=bulk)
    a.drive()
    remote.carry_on(a.brand.pk)
    assert len(at_smartlead(a)) == 2
