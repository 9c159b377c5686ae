"""What operators see: redacted logs, scrubbed reports, health and metrics for them alone."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog
from django.core.cache import cache
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone

from accounts import brands
from accounts.models import Membership
from saas import context
from saas.errors import Refused
from saas.observability import sentry
from saas.observability.logs import redact
from saas.tasks import HEARTBEAT, heartbeat
from saas.tenancy import scope
from tests.factories import make_user

pytestmark = pytest.mark.django_db

CONFIRM, RESET = "/accounts/confirm-email/", "/accounts/password/reset/key/"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("GET /campaigns?api_key=abc123&limit=5", "GET /campaigns?api_key=[redacted]&limit=5"),
        ('{"password": "hunter2"}', '{"password": "[redacted]"}'),
        ("Authorization: Bearer xyz.abc", "Authorization: Bearer [redacted]"),
        ("key sk_test_" + "a" * 24, "key sk_test_[redacted]"),
        ("whsec_" + "b" * 20, "whsec_[redacted]"),
        ("GET /accounts/confirm-email/MQ:1w:x_-Y/ 200", f"GET {CONFIRM}[redacted]/ 200"),
        ("/accounts/confirm-email/MQ%3A1w%3Ax", f"{CONFIRM}[redacted]"),
        (f"path_info: '{RESET}1-abc-def/'", f"path_info: '{RESET}[redacted]/'"),
        ("Gone: /invitations/WzEsMV0:1w:x/", "Gone: /invitations/[redacted]/"),
        ("?next=%2Finvitations%2FWzEsMV0", "?next=%2Finvitations%2F[redacted]"),
        ("/webhooks/smartlead/s3same/", "/webhooks/smartlead/[redacted]/"),
        ("/b/n/team/invitations/12/revoke/", "/b/n/team/invitations/12/revoke/"),
        (
            r"accounts/confirm-email/(?P<key>[-:\w]+)/$",
            r"accounts/confirm-email/(?P<key>[-:\w]+)/$",
        ),
        ("invitations/<str:token>/", "invitations/<str:token>/"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_are_redacted(text: str, kept: str) -> None:
    assert redact(text) == kept


def test_every_part_of_a_record_is_redacted(
    client: Client, rf: RequestFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    path = "/invitations/WzEsMV0:1w:x/"
    client.get(path)  # 404
    extra = {"request": rf.get(path), "hops": [{"to": (path, 7)}], "fine": True}
    logging.getLogger("stranger").warning("path_info: %s", path, extra=extra)
    structlog.get_logger("ours").warning("seen", path=path)
    log = capfd.readouterr().err
    assert "WzEsMV0" not in log
    [line] = [one for one in map(json.loads, log.splitlines()) if one["logger"] == "stranger"]
    assert line["event"] == "path_info: /invitations/[redacted]/"
    assert line["request"] == "<WSGIRequest: GET '/invitations/[redacted]/'>"
    assert line["hops"] == [{"to": ["/invitations/[redacted]/", 7]}]
    assert line["fine"] is True


def test_a_report_to_sentry_has_ids_and_no_secrets() -> None:
    event: Any = {
        "message": "failed: api_key=abc123",
        "request": {"data": {"password": "x"}, "cookies": "session=1", "query_string": "api_key=1"},
        "breadcrumbs": [{"message": "GET https://x/?api_key=abc123"}],
    }
    with context.bind(request_id="r-1", brand_id=7):
        sent = sentry.before_send(event, {})
    assert sent is not None
    assert sent["tags"] == {"request_id": "r-1", "brand_id": "7"}
    assert "abc123" not in json.dumps(sent)
    assert "data" not in sent["request"]


def test_a_no_to_a_person_is_no_error_of_ours() -> None:
    refusal = Refused("quota_exceeded", "You have reached your plan's leads.")
    assert sentry.before_send({}, {"exc_info": (Refused, refusal, None)}) is None


def test_a_refusal_is_a_line_and_an_error_has_its_traceback(
    client_for: Any, brand: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    viewer = make_user()
    with scope(brand):
        Membership.objects.create(user=viewer, role="viewer")
    client = client_for(viewer)
    capfd.readouterr()
    assert client.get(f"/b/{brand.slug}/settings/").status_code == 403
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    [refusal] = [line for line in lines if line["logger"] == "django.request"]
    assert (refusal["level"], refusal["status_code"]) == ("warning", 403)
    assert "exception" not in refusal
    assert not any("Traceback" in str(line) for line in lines)

    client.raise_request_exception = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brands, "places", lambda *_: 1 / 0)
        assert client.get(f"/b/{brand.slug}/").status_code == 500
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_health_tells_which_part_is_ill(client: Client) -> None:
    cache.delete(HEARTBEAT)
    answer = client.get("/health/deep")
    assert answer.status_code == 503
    parts = answer.json()["parts"]
    assert parts["heartbeat"] == {
        "ok": False,
        "error": "no heartbeat",
        "ms": parts["heartbeat"]["ms"],
    }
    assert parts["database"]["ok"]
    assert parts["cache"]["ok"]
    assert parts["broker"]["ok"]
    heartbeat()
    assert cache.get(HEARTBEAT) == pytest.approx(timezone.now().timestamp(), abs=60)
    assert client.get("/health/deep").json()["parts"]["heartbeat"]["ok"]
    assert client.get("/health/live").json() == {"ok": True}
    assert client.get("/health/ready").json() == {"ok": True}


@pytest.mark.parametrize("path", ["/health/deep", "/metrics"])
def test_strangers_see_no_operations(client: Client, path: str) -> None:
    assert client.get(path, REMOTE_ADDR="203.0.113.9").status_code == 404
    with override_settings(METRICS_TOKEN="sesame"):
        headers = {"Authorization": "Bearer sesame"}
        assert client.get(path, REMOTE_ADDR="203.0.113.9", headers=headers).status_code != 404
        wrong = {"Authorization": "Bearer other"}
        assert client.get(path, REMOTE_ADDR="203.0.113.9", headers=wrong).status_code == 404


def test_metrics_count_requests_by_route(client: Client) -> None:
    client.get("/health/live")
    text = client.get("/metrics").content.decode()
    assert 'harbor_request_seconds_count{method="GET",route="health/live",status="200"}' in text
    assert 'harbor_queue_messages{queue="backfill"}' in text


def test_a_request_keeps_a_good_id_and_replaces_a_bad_one(client: Client) -> None:
    good = client.get("/health/live", headers={"X-Request-ID": "abcdef-12345678"})
    assert good["X-Request-ID"] == "abcdef-12345678"
    bad = client.get("/health/live", headers={"X-Request-ID": "<script>"})
    assert len(bad["X-Request-ID"]) == 32
