"""A double click on "Subscribe": one Checkout session, and both clicks reach it."""

from __future__ import annotations

import threading
from typing import Any

from django.core.management import call_command
from django.db import connection

from billing import checkout
from tests.factories import make_brand, make_user


def test_clicks_at_once_reach_one_session(live_db: Any, sandbox: Any) -> None:
    call_command("sync_catalog")
    owner = make_user()
    brand = make_brand(owner=owner)
    urls: list[str] = []
    together = threading.Barrier(4)

    def click() -> None:
        together.wait()
        try:
            plan = {"plan": "leads_growth", "currency": "usd"}
            urls.append(checkout.start(brand=brand, actor=owner, **plan))
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 4
    assert len(set(urls)) == 1
