"""Staff see what backfills do and what was left out, never a key, and may pause and go on."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from leads.ingest import rejections
from leads.ingest.rows import BadRow
from leads.models import Backfill, BulkJob, Connection, Rejection
from saas.tenancy import scope
from tests.factories import make_user
from tests.leads.factories import make_connection

KEY = "sl_staff_must_not_see_0042"


@pytest.fixture
def run(brand: Any) -> Backfill:
    with scope(brand):
        connection = make_connection(api_key=KEY, key_hint="0042")
        raw = f'{{"email": "x", "api_key": "{KEY}"}}'
        row: Backfill = Backfill.objects.create(connection=connection, state="running")
        rejections.record(
            brand_id=brand.pk, source="leads", backfill_id=row.pk,
            bad=[BadRow("bad_email", "That is not an e-mail address.", raw)],
        )  # fmt: skip
        return row


@pytest.fixture
def staff(brand: Any, client_for: Callable[[Any], Client], settings: Any) -> Client:
    settings.DEBUG = True  # outside of it staff need a second factor, which is proven elsewhere
    return client_for(make_user(is_staff=True, is_superuser=True))


def test_staff_never_see_a_key(staff: Client, brand: Any, run: Backfill) -> None:
    with scope(brand):
        rejection, connection = Rejection.objects.get(), Connection.objects.get()
    for path in (
        "connection/", f"connection/{connection.pk}/change/", "rejection/",
        f"rejection/{rejection.pk}/change/", "backfill/", f"backfill/{run.pk}/change/",
    ):  # fmt: skip
        answer = staff.get(f"/admin/leads/{path}")
        assert answer.status_code == 200, path
        assert KEY not in answer.content.decode()
        assert 'name="api_key"' not in answer.content.decode()


def test_staff_pause_and_go_on_and_are_told_what_could_not_be(
    staff: Client, brand: Any, run: Backfill
) -> None:
    def act(action: str) -> list[str]:
        form = {"action": action, "_selected_action": [run.pk]}
        answer = staff.post("/admin/leads/backfill/", form, follow=True)
        return [str(message) for message in answer.context["messages"]]

    assert act("pause") == ["1 done."]
    assert act("pause") == [f"Backfill {run.pk}: This backfill is paused: can't pause it.",
                            "0 done."]  # fmt: skip
    assert act("resume") == ["1 done."]
    with scope(brand):
        assert Backfill.objects.get().state == "running"


def test_staff_watch_changes_of_many_leads(staff: Client, brand: Any) -> None:
    with scope(brand):
        job = BulkJob.objects.create(what="tag", label="Hot", request_key=uuid.uuid4(), seen=77)
    page = staff.get("/admin/leads/bulkjob/").content.decode()
    assert (brand.name in page, ">77<" in page) == (True, True)
    one = staff.get(f"/admin/leads/bulkjob/{job.pk}/change/")
    assert one.status_code == 200
    assert "Hot" in one.content.decode()
    assert staff.post(f"/admin/leads/bulkjob/{job.pk}/change/", {}).status_code == 403
