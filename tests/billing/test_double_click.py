"""A double click on "Subscribe": one Checkout session, and both clicks reach it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from billing import checkout, operations
from billing.models import StripeOperation
from saas.tenancy import scope
from tests.factories import make_brand, make_user


def test_clicks_at_once_reach_one_session(live_db: Any, sandbox: Any) -> None:
    call_command("sync_catalog", yes=True)
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


def test_a_claim_that_is_not_committed_yet_is_waited_for(
    live_db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = make_brand(owner=make_user())
    with scope(brand):
        operation = operations.begin(checkout.PORTAL, subject="a claim", params={})
    looked = threading.Event()
    reread = operations._reread

    def look(row: StripeOperation) -> StripeOperation:
        looked.set()
        return reread(row)

    monkeypatch.setattr(operations, "_reread", look)
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(operations.run(operation))
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    with scope(brand):
        row = StripeOperation.objects.select_for_update(no_key=True).get(pk=operation.pk)
        thread.start()
        assert looked.wait(10)
        looked.clear()
        assert looked.wait(10)  # it looks again instead of giving up
        row.state, row.result = "done", {"url": "https://portal.example"}
        row.save()
    thread.join(10)
    assert results == [{"url": "https://portal.example"}]
