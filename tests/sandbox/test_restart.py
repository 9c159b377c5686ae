"""What happened in the sandbox is still so after a restart, and a reset forgets it."""

from __future__ import annotations

from collections.abc import Callable

from tests.sandbox.conftest import Running
from tests.sandbox.test_mail import letter, received, send
from tests.sandbox.test_smartlead_life import thread_of

KEY = "sl_kept_300_2_r0"


def test_a_restart_forgets_nothing_and_a_reset_what_is_not_seeded(
    start_sandbox: Callable[..., Running],
) -> None:
    first = start_sandbox()
    first.control("accounts", key="named-by-hand", leads=40, campaigns=1, calls=7)
    (lead,) = first.control("touch", key=KEY, what="reply", category=1)["touched"]
    first.control("touch", key=KEY, what="grow", campaign=first.campaign(KEY), count=5)
    first.control("webhooks", key=KEY, url="http://127.0.0.1:9/hook")
    first.control("clock", advance=3600)
    send(first, letter())
    thread, mails = thread_of(first, KEY, lead), received(first)
    assert first.stop() == 0

    second = start_sandbox()
    assert thread_of(second, KEY, lead) == thread
    assert second.get("/leads/all", KEY).json()["data"]["totalCount"] == 305
    assert second.get("/campaigns", "named-by-hand").headers["x-ratelimit-limit"] == "7"
    assert second.client.get("/smartlead/_control/clock").json()["offset"] == 3600
    assert len(second.client.get("/smartlead/_control/webhooks").json()["webhooks"]) == 1
    assert received(second) == mails
    send(second, letter("Later"))
    assert [mail["id"] for mail in received(second)] == [2, 1]

    second.control("reset")
    assert len(thread_of(second, KEY, lead)) < len(thread)
    assert second.get("/campaigns", "named-by-hand").status_code == 401
