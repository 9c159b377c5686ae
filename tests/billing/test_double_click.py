"""A double click on "Subscribe": one Checkout session, and both clicks reach it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from billing import checkout, customers, operations
from billing.models import StripeOperation
from saas.tenancy import scope
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


def test_a_click_while_another_one_claims_waits_for_it(live_db: Any, sandbox: Any) -> None:
    """The other one holds the row and has not committed its lease, so nobody seems to be at it."""
    brand = make_brand()
    with scope(brand):
        operation = operations.begin(customers.CREATE, subject="a click", params={})

    def click() -> dict[str, Any]:
        try:
            return dict(operations.run(operation))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with scope(brand):
            StripeOperation.objects.select_for_update().get(pk=operation.pk)
            second = pool.submit(click)
            with pytest.raises(TimeoutError):
                second.result(timeout=1)
        assert second.result(timeout=60)["object"] == "customer"
