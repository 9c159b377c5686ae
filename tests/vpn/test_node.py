"""A real node's process against the real web server: what an operator would see."""

from __future__ import annotations

import signal
import sys
import time

import httpx
import pytest

from saas.embedded.processes import wait_until
from saas.tenancy import scope
from tests.factories import make_brand
from tests.vpn import words
from tests.vpn.test_concurrency import owner_of
from vpn import access, servers
from vpn.models import Peer

pytestmark = pytest.mark.slow


@pytest.fixture
def brand(live_db):
    brand = make_brand()
    words.put_on_plan(brand, "leads_growth")
    return brand


@pytest.fixture
def server(brand, tmp_path):
    return servers.ensure_demo_server(tmp_path / "node")


@pytest.fixture
def start_node(web, start, tmp_path):
    def launch():
        folder = tmp_path / "node"
        argv = [
            *(sys.executable, "-m", "sandbox.node", "--api", web, "--report-every", "1"),
            *("--token-file", str(folder / "token"), "--state", str(folder)),
        ]
        return start("node", argv, ready=lambda: True)

    return launch


def add_device(brand, server, name="Laptop"):
    return words.add_device(brand, owner_of(brand), server, name).device


def peers_on(server):
    server.refresh_from_db()
    return server.reported.get("peers")


def test_a_device_is_carried_counted_killed_restarted_and_cut_off(brand, server, start_node):
    device = add_device(brand, server)
    node = start_node()
    assert wait_until(lambda: words.usage_of(device)[1] > 0, 60)
    with scope(brand):
        assert Peer.objects.get().last_handshake_at is not None
    for _ in range(3):
        node.kill()
        before = words.usage_of(device)
        node = start_node()
        assert wait_until(lambda seen=before: words.usage_of(device)[1] > seen[1], 60)
    words.put_on_plan(brand, "leads_growth", standing="downgraded")
    access.converge(brand.pk)
    assert wait_until(lambda: peers_on(server) == 0, 60)
    still = words.usage_of(device)
    time.sleep(2.5)
    assert words.usage_of(device) == still
    words.put_on_plan(brand, "leads_growth")
    access.converge(brand.pk)
    assert wait_until(lambda: peers_on(server) == 1, 60)


def test_a_waiting_node_hears_of_a_change_at_once(brand, server, web, tmp_path):
    add_device(brand, server)
    headers = {"Authorization": f"Bearer {(tmp_path / 'node' / 'token').read_text()}"}
    with httpx.Client(base_url=web, headers=headers, timeout=40) as http:
        etag = http.get("/agent/v1/desired").headers["ETag"]
        began = time.monotonic()
        nothing = http.get("/agent/v1/desired?wait=2", headers={"If-None-Match": etag})
        assert nothing.status_code == 304
        assert 1.5 < time.monotonic() - began < 10
        with pytest.raises(httpx.ReadTimeout):  # still waiting, and then it hangs up
            http.get("/agent/v1/desired?wait=25", headers={"If-None-Match": etag}, timeout=1)
        add_device(brand, server, "Phone")
        changed = http.get("/agent/v1/desired?wait=25", headers={"If-None-Match": etag})
        assert len(changed.json()["peers"]) == 2


def test_a_node_that_is_told_to_stop_goes_at_once_with_a_last_report(brand, server, start_node):
    add_device(brand, server)
    node = start_node()
    assert wait_until(lambda: peers_on(server) == 1, 60)
    assert node.child.stop(signal.SIGTERM, 20)  # an answer that it waits for takes 25
    assert node.child.exit_code() == 0


def test_waiting_nodes_hold_no_connection_to_the_database(brand, server, web, tmp_path):
    """Two nodes wait; meanwhile the server's pool has none of its connections in a transaction."""
    import threading

    from django.db import connection

    headers = {"Authorization": f"Bearer {(tmp_path / 'node' / 'token').read_text()}"}
    etag = httpx.get(f"{web}/agent/v1/desired", headers=headers).headers["ETag"]

    def wait():
        httpx.get(
            f"{web}/agent/v1/desired?wait=6",
            headers=headers | {"If-None-Match": etag},
            timeout=20,
        )

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    busy = 0
    for _ in range(20):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
            )
            busy += cursor.fetchone()[0]
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert busy == 0
