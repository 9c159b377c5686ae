"""What operators see of the VPN at /metrics."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from saas.observability import metrics
from tests.factories import make_brand
from tests.vpn import words
from vpn import access, devices, measures
from vpn.models import Server


@pytest.fixture
def scrape(db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Read the VPN's metrics as Prometheus does, without the gauges that are kept for a while."""

    def read() -> dict[str, float]:
        monkeypatch.setattr(metrics, "_kept", (0.0, []))
        text = Client().get("/metrics").content.decode()
        found = re.findall(r"^harbor_vpn_(\S+) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}

    return read


def metered(found: dict[str, float]) -> tuple[float, ...]:
    ways = ("received", "sent")
    return tuple(found.get(f'metered_bytes_total{{direction="{way}"}}', 0.0) for way in ways)


def age_of(one: Any) -> str:
    return f'node_report_age_seconds{{node="{one.server.name}"}}'


def test_devices_are_counted_by_what_became_of_them(scrape, add_device, node, roomy, owner):
    now = timezone.now()
    made = [add_device(f"d{n}") for n in range(5)]
    other = make_brand()
    words.put_on_plan(other, "leads_growth")
    theirs = add_device(brand_id=other.pk)
    devices.revoke(device_id=made[0].device.pk, brand_id=roomy.pk, actor=owner)
    just, long_ago = (int((now - timedelta(seconds=s)).timestamp()) for s in (20, 600))
    node.report(
        words.reading(made[1].pair.public, 1, 1, last_handshake=just),
        words.reading(made[2].pair.public, 1, 1, last_handshake=long_ago),
        words.reading(made[4].pair.public, 1, 1, last_handshake=just),
        words.reading(theirs.pair.public, 1, 1, last_handshake=just),
    )
    words.put_on_plan(roomy, "leads_starter")  # room for 2: the newest two are suspended
    access.converge(roomy.pk)
    found = scrape()
    assert found['devices{state="active"}'] == 3
    assert found['devices{state="suspended"}'] == 2
    assert found["devices_connected"] == 2


def test_a_silent_node_shows_and_one_that_is_off_is_not_expected(scrape, make_node):
    now = timezone.now()
    well, silent, never, off = (make_node(enabled=n != 3) for n in range(4))
    for one, seconds in ((well, 5), (silent, 3600), (off, 7200)):
        Server.objects.filter(pk=one.server.pk).update(
            last_seen_at=now - timedelta(seconds=seconds)
        )
    found = scrape()
    assert found['nodes{state="expected"}'] == 3
    assert found['nodes{state="online"}'] == 1
    for one, age in ((well, 5), (silent, 3600), (never, 0)):
        assert found[age_of(one)] == pytest.approx(age, abs=60)
    assert age_of(off) not in found


def test_of_very_many_nodes_the_longest_silent_are_named(scrape, make_node, monkeypatch):
    monkeypatch.setattr(measures, "MOST_NODES", 2)
    nodes = [make_node() for _ in range(4)]
    for minutes, one in enumerate(nodes):
        seen = timezone.now() - timedelta(minutes=minutes)
        Server.objects.filter(pk=one.server.pk).update(last_seen_at=seen)
    named = {name for name in scrape() if name.startswith("node_report_age")}
    assert named == {age_of(one) for one in nodes[2:]}


def test_bytes_are_counted_once_however_often_a_report_comes(scrape, add_device, node):
    before = metered(scrape())
    reading = words.reading(add_device().pair.public, 1_000, 30_000)
    for _ in range(3):
        node.report(reading)
    after = metered(scrape())
    assert (after[0] - before[0], after[1] - before[1]) == (1_000, 30_000)
