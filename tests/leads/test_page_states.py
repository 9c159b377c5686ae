"""What the pages of leads say in each state, and to whom: roles, waits, plans, repeated clicks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from accounts.models import Membership
from accounts.roles import Role
from billing import pages
from billing.models import BillingAccount
from leads.models import Backfill, Connection, Rejection
from saas.tenancy import scope
from tests.factories import make_brand, make_user
from tests.leads.conftest import Account
from tests.leads.factories import make_connection

Make = Callable[[str], Account]
Login = Callable[[Any], Client]
State, Wait = Backfill.State, Backfill.Wait
LIVE_PART = {"HX-Request": "true"}


@pytest.fixture
def web(client_for: Login, owner: Any) -> Client:
    return client_for(owner)


@pytest.fixture
def as_role(client_for: Login, brand: Any) -> Callable[[Role], Client]:
    def login(role: Role) -> Client:
        user = make_user()
        with scope(brand):
            Membership.objects.create(user=user, role=role)
        return client_for(user)

    return login


def url(brand: Any, path: str) -> str:
    return f"/b/{brand.slug}/{path}"


def said(answer: Any) -> list[str]:
    return [message.message for message in get_messages(answer.wsgi_request)]


def make_run(brand: Any, state: str = State.RUNNING, **fields: Any) -> Backfill:
    with scope(brand):
        connection = Connection.objects.first() or make_connection()
        now = timezone.now()
        if state != State.PLANNED:
            fields.setdefault("started_at", now - timedelta(minutes=2))
        if state in (State.CANCELLED, State.FINISHED, State.FAILED):
            fields.setdefault("ended_at", now)
        run: Backfill = Backfill.objects.create(connection=connection, state=state, **fields)
        return run


def state_of(brand: Any, run: Backfill) -> str:
    with scope(brand):
        return str(Backfill.objects.get(pk=run.pk).state)


# --- who -----------------------------------------------------------------------------------------

ACTIONS = ("plan", "{pk}/start", "{pk}/pause", "{pk}/resume", "{pk}/cancel")


def test_a_viewer_sees_everything_and_can_do_nothing(
    as_role: Callable[[Role], Client], brand: Any
) -> None:
    web, run = as_role(Role.VIEWER), make_run(brand)
    for path in ("leads/", "backfills/", f"backfills/{run.pk}/"):
        page = web.get(url(brand, path)).content.decode()
        for action in ("/start/", "/pause/", "/resume/", "/cancel/", "/plan/", "/connection/"):
            assert action not in page
    for action in ACTIONS:
        path = url(brand, f"backfills/{action.format(pk=run.pk)}/")
        assert web.post(path).status_code == 403
    for path in ("connection/", "connection/limits/", "connection/disconnect/"):
        assert web.post(url(brand, path)).status_code == 403
    assert web.get(url(brand, "connection/")).status_code == 403
    assert state_of(brand, run) == State.RUNNING


def test_a_member_runs_backfills_and_leaves_the_connection(
    as_role: Callable[[Role], Client], brand: Any
) -> None:
    web, run = as_role(Role.MEMBER), make_run(brand)
    page = web.get(url(brand, f"backfills/{run.pk}/")).content.decode()
    assert f"/backfills/{run.pk}/pause/" in page
    assert web.post(url(brand, f"backfills/{run.pk}/pause/")).status_code == 302
    assert state_of(brand, run) == State.PAUSED
    assert "/connection/" not in web.get(url(brand, "backfills/")).content.decode()
    for path in ("connection/", "connection/limits/", "connection/disconnect/"):
        assert web.post(url(brand, path)).status_code == 403


def test_another_brand_s_run_is_not_there(web: Client, brand: Any) -> None:
    other = make_brand()
    run = make_run(other)
    for base in (brand, other):
        assert web.get(url(base, f"backfills/{run.pk}/")).status_code == 404
        for action in ACTIONS[1:]:
            path = url(base, f"backfills/{action.format(pk=run.pk)}/")
            assert web.post(path).status_code == 404
    assert state_of(other, run) == State.RUNNING


@pytest.mark.parametrize("action", ["start", "cancel"])
def test_an_old_tab_s_plan_was_replaced_by_a_newer_one(
    web: Client, brand: Any, action: str
) -> None:
    old = make_run(brand, state=State.PLANNED).pk
    with scope(brand):
        Backfill.objects.all().delete()  # what making a new plan does
        connection = Connection.objects.get()
        new = Backfill.objects.create(connection=connection, state=State.PLANNED)
    answer = web.post(url(brand, f"backfills/{old}/{action}/"), follow=True)
    assert answer.redirect_chain == [(url(brand, "backfills/"), 302)]
    assert "This plan was replaced by a newer one." in answer.content.decode()
    assert state_of(brand, new) == State.PLANNED
    assert web.post(url(brand, f"backfills/{10**30}/{action}/")).status_code == 404


def test_get_changes_nothing(web: Client, brand: Any) -> None:
    run = make_run(brand)
    for action in ACTIONS:
        assert web.get(url(brand, f"backfills/{action.format(pk=run.pk)}/")).status_code == 405
    assert web.get(url(brand, "connection/disconnect/")).status_code == 405


# --- the list's and the backfills' empty states --------------------------------------------------


def test_nothing_yet_says_what_comes_next(
    web: Client, as_role: Callable[[Role], Client], brand: Any
) -> None:
    viewer = as_role(Role.VIEWER)
    assert "Connect SmartLead, then" in web.get(url(brand, "leads/")).content.decode()
    assert "Ask an admin of" in viewer.get(url(brand, "leads/")).content.decode()
    assert "Connect SmartLead first" in web.get(url(brand, "backfills/")).content.decode()
    with scope(brand):
        make_connection()
    page = web.get(url(brand, "leads/")).content.decode()
    assert "A backfill brings in your campaigns" in page
    assert url(brand, "backfills/") in page
    assert "Ready for your first backfill" in web.get(url(brand, "backfills/")).content.decode()
    assert "Nothing found" in web.get(url(brand, "leads/?q=nobody")).content.decode()


# --- the connection ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "   ", "sl_\x07_x", "é" * 201, "<script>x</script>"])
def test_what_is_no_key_is_said_and_never_echoed(
    web: Client, brand: Any, sandbox: Any, key: str
) -> None:
    answer = web.post(url(brand, "connection/"), {"api_key": key})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "field-error" in page
    assert not key.strip() or key not in page
    with scope(brand):
        assert not Connection.objects.exists()


def test_a_wrong_key_leaves_a_good_connection_as_it_is(web: Client, account: Make) -> None:
    a = account("sl_keep_20_1_r0")
    answer = web.post(url(a.brand, "connection/"), {"api_key": "sl-wrong-key-0001"})
    assert answer.status_code == 422
    assert "does not accept this API key" in answer.content.decode()
    assert "sl-wrong-key-0001" not in answer.content.decode()
    with scope(a.brand):
        connection = Connection.objects.get()
        assert connection.state == Connection.State.WORKING
        assert connection.api_key.reveal() == a.key


@pytest.mark.parametrize(
    ("calls", "at_once"),
    [("0", "5"), ("1001", "5"), ("50", "0"), ("50", "21"), ("x", ""), ("", "")],
)
def test_limits_out_of_range_are_refused(web: Client, brand: Any, calls: str, at_once: str) -> None:
    with scope(brand):
        make_connection()
    path = url(brand, "connection/limits/")
    answer = web.post(path, {"calls_per_minute": calls, "in_flight": at_once})
    assert answer.status_code == 422
    assert "field-error" in answer.content.decode()
    with scope(brand):
        connection = Connection.objects.get()
        assert (connection.calls_per_minute, connection.in_flight) == (50, 5)


def test_limits_in_range_are_saved(web: Client, brand: Any) -> None:
    with scope(brand):
        make_connection()
    path = url(brand, "connection/limits/")
    assert web.post(path, {"calls_per_minute": "120", "in_flight": "20"}).status_code == 302
    with scope(brand):
        connection = Connection.objects.get()
        assert (connection.calls_per_minute, connection.in_flight) == (120, 20)


def test_limits_without_a_connection_say_so(web: Client, brand: Any) -> None:
    path = url(brand, "connection/limits/")
    answer = web.post(path, {"calls_per_minute": "10", "in_flight": "1"})
    assert said(answer) == ["Connect SmartLead first."]


def test_disconnecting_ends_the_run_and_may_be_repeated(web: Client, brand: Any) -> None:
    run = make_run(brand)
    assert "is cancelled" in web.get(url(brand, "connection/")).content.decode()
    for told in (
        "SmartLead is disconnected, and its key is deleted.",
        "SmartLead was not connected, so nothing has changed.",
    ):
        answer = web.post(url(brand, "connection/disconnect/"))
        assert (answer.status_code, said(answer)[-1]) == (302, told)
    assert state_of(brand, run) == State.CANCELLED
    with scope(brand):
        assert Connection.objects.get().state == Connection.State.DISCONNECTED
        accounts = next(use for use in pages.overview(brand.pk)["uses"] if "Smart" in use.label)
    assert accounts.used == 0
    answer = web.post(url(brand, "backfills/plan/"))
    assert answer.headers["Location"] == url(brand, "connection/")
    assert said(answer)[-1] == "Connect SmartLead first."


def test_disconnecting_what_never_was_connected_says_so(web: Client, brand: Any) -> None:
    answer = web.post(url(brand, "connection/disconnect/"))
    assert said(answer) == ["SmartLead was not connected, so nothing has changed."]


# --- the plan ------------------------------------------------------------------------------------


def bill(brand: Any, **fields: Any) -> None:
    with scope(brand):
        BillingAccount.objects.update(**fields)


@pytest.mark.parametrize(
    ("account_fields", "words"),
    [
        ({}, "All of them fit"),
        ({"lead_quota": 60}, "All of them fit"),
        ({"lead_quota": 59}, "has room for 59 more leads"),
        ({"trial_ends_at": timezone.now() - timedelta(days=1)}, "Your trial has ended."),
    ],
)
def test_a_plan_says_what_comes_in(
    web: Client, account: Make, account_fields: dict[str, Any], words: str
) -> None:
    a = account("sl_fit_60_2_r0")
    bill(a.brand, **account_fields)
    page = web.post(url(a.brand, "backfills/plan/"), follow=True).content.decode()
    assert words in page
    others = {"All of them fit", "has room for 59 more leads", "Your trial has ended."} - {words}
    assert not [other for other in others if other in page]
    assert "Start it" in page


def test_a_plan_of_nothing_says_so(web: Client, brand: Any, sandbox: Any) -> None:
    answer = web.post(url(brand, "backfills/plan/"))
    assert said(answer) == ["Connect SmartLead first."]
    assert answer.headers["Location"] == url(brand, "connection/")


def test_a_silent_smartlead_leaves_no_plan(web: Client, account: Make) -> None:
    a = account("sl_silent_20_1_r0")
    a.fault("524", delay=0)
    answer = web.post(url(a.brand, "backfills/plan/"))
    assert "reach SmartLead" in said(answer)[-1]
    with scope(a.brand):
        assert not Backfill.objects.exists()


# --- live ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "offered", "words"),
    [
        (State.RUNNING, {"pause", "cancel"}, "Fetching your leads"),
        (State.PAUSED, {"resume", "cancel"}, "You paused it"),
        (State.PARKED, {"pause", "resume", "cancel"}, "faulty answer"),
        (State.FINISHED, set(), "Done. Every lead"),
        (State.CANCELLED, set(), "Cancelled. What was fetched"),
        (State.FAILED, set(), "a fault on our side"),
    ],
)
def test_each_state_offers_its_moves(
    web: Client, brand: Any, state: str, offered: set[str], words: str
) -> None:
    run = make_run(brand, state, wait=Wait.FAULT if state == State.PARKED else "")
    page = web.get(url(brand, f"backfills/{run.pk}/")).content.decode()
    moves = {"start", "pause", "resume", "cancel"}
    assert {move for move in moves if f"/backfills/{run.pk}/{move}/" in page} == offered
    assert words in page
    live = bool(offered)
    assert ("hx-trigger" in page) == live
    assert ("Started" in page and "Time left" not in page) or state == State.RUNNING or not live


@pytest.mark.parametrize("wait", Wait.values)
def test_each_wait_is_explained_with_its_way_out(web: Client, brand: Any, wait: str) -> None:
    due = timezone.now() + timedelta(seconds=60)
    run = make_run(brand, State.PARKED, wait=wait, due_at=due)
    page = web.get(url(brand, f"backfills/{run.pk}/"), headers=LIVE_PART).content.decode()
    billing, key = url(brand, "billing/subscribe/"), url(brand, "connection/")
    assert (f'href="{billing}"' in page) == (wait in Backfill.ENTITLEMENT_WAITS)
    assert (f'href="{key}"' in page) == (wait == Wait.BAD_KEY)
    assert "{" not in page


def test_the_live_part_comes_alone(web: Client, brand: Any) -> None:
    run = make_run(brand)
    answer = web.get(url(brand, f"backfills/{run.pk}/"), headers=LIVE_PART)
    page = answer.content.decode().strip()
    assert page.startswith('<div class="stack-6" id="live"')
    assert page.endswith("</div>")
    assert "<html" not in page
    assert "<dialog" not in page
    assert "no-store" in answer.headers["Cache-Control"]


def test_a_session_that_ended_leads_the_live_part_to_the_log_in(brand: Any) -> None:
    run = make_run(brand)
    answer = Client().get(url(brand, f"backfills/{run.pk}/"), headers=LIVE_PART)
    assert "/accounts/login/" in answer.headers["HX-Redirect"]
    assert answer.content == b""


def test_repeated_clicks_do_no_harm_and_say_why(web: Client, brand: Any) -> None:
    run = make_run(brand, State.PLANNED)

    def click(move: str) -> list[str]:
        answer = web.post(url(brand, f"backfills/{run.pk}/{move}/"), follow=True)
        assert answer.status_code == 200
        return [str(message) for message in answer.context["messages"]]

    for move, state in (("start", "running"), ("pause", "paused"), ("resume", "running")):
        assert click(move) == []
        assert click(move) == [f"This backfill is {state}: can't {move} it."]
        assert state_of(brand, run) == state
    assert click("cancel") == []
    for move in ("start", "pause", "resume", "cancel"):
        assert click(move) == [f"This backfill is cancelled: can't {move} it."]


def test_what_was_left_out_is_shown_without_keys(web: Client, brand: Any) -> None:
    from leads.ingest import rejections
    from leads.ingest.rows import BadRow

    run = make_run(brand)
    raw = '{"email": "<b>x</b>", "api_key": "sl_very_secret_1", "secret_key": "whs_secret_2"}'
    with scope(brand):
        rejections.record(
            brand_id=brand.pk, source="leads", backfill_id=run.pk,
            bad=[BadRow("bad_email", "That is not an e-mail address.", raw)],
        )  # fmt: skip
        kept = Rejection.objects.get().excerpt
    page = web.get(url(brand, f"backfills/{run.pk}/")).content.decode()
    assert "That is not an e-mail address." in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    for text in (page, kept):
        assert "very_secret" not in text
        assert "whs_secret" not in text
