"""The agent against the real API: it converges, reports, and survives what goes wrong."""

from __future__ import annotations

import stat

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.vpn import words
from tests.vpn.flight import Flight
from vpn import access, devices
from vpn.agent import x25519
from vpn.agent.api import ApiError, parse
from vpn.agent.loop import backoff
from vpn.models import Server


@pytest.fixture
def fly(make_node, tmp_path):
    return Flight(make_node(public_key=""), tmp_path)


@pytest.fixture
def here(fly, add_device):
    """Make a device on the flying node (after its first report told the key)."""
    fly.agent.step()
    return lambda name="Laptop", **fields: add_device(name, server_id=fly.node.server.pk, **fields)


def test_the_first_step_tells_the_key_and_configures_the_tunnel(fly):
    fly.agent.step()
    assert fly.calls == ["desired", "report"]
    assert Server.objects.get(pk=fly.node.server.pk).public_key == fly.agent.public_key
    assert fly.driver.private_key == fly.agent.private_key
    assert fly.driver.interface.listen_port == 51820


def test_devices_come_and_go(fly, here, roomy, owner):
    first, second = here("a"), here("b")
    fly.later()
    assert set(fly.driver.peers) == {first.pair.public, second.pair.public}
    assert fly.driver.peers[first.pair.public].wanted.preshared_key == first.preshared
    devices.revoke(device_id=first.device.pk, brand_id=roomy.pk, actor=owner)
    fly.later()
    assert set(fly.driver.peers) == {second.pair.public}
    words.put_on_plan(roomy, "leads_growth", standing="downgraded")
    access.converge(roomy.pk)
    fly.later()
    assert fly.driver.peers == {}


def test_what_was_put_there_by_hand_is_removed(fly, here):
    from vpn.agent.driver import Wanted

    fly.driver.put([Wanted(words.NODE_KEY, words.NODE_KEY, ("0.0.0.0/0",))])
    fly.later()
    assert fly.driver.peers == {}


def test_usage_survives_a_dying_agent_a_suspension_and_a_restarted_machine(fly, here, roomy):
    fresh = here()
    key = fresh.pair.public
    fly.later()
    fly.driver.move(key, received=100, sent=10, at=1)
    fly.later()
    fly.agent = fly.start()  # a new process, the same tunnel
    fly.driver.move(key, received=100, sent=10, at=1)
    fly.later()
    assert words.usage_of(fresh.device) == (200, 20)
    words.put_on_plan(roomy, "leads_growth", standing="downgraded")
    access.converge(roomy.pk)
    fly.later()
    words.put_on_plan(roomy, "leads_growth")
    access.converge(roomy.pk)
    fly.later()
    fly.driver.move(key, received=7, sent=7, at=1)
    fly.later()
    assert words.usage_of(fresh.device) == (207, 27)
    fly.driver.restart()
    fly.agent = fly.start()
    fly.agent.step()
    fly.driver.move(key, received=1, sent=1, at=1)
    fly.later()
    assert words.usage_of(fresh.device) == (208, 28)


def test_bytes_that_no_report_could_tell_are_told_later(fly, here):
    fresh = here()
    fly.later()
    fly.driver.move(fresh.pair.public, received=100, sent=10, at=1)
    fly.faults = [httpx.Response(304), httpx.ConnectError("down")]
    with pytest.raises(ApiError):
        fly.later()
    fly.driver.move(fresh.pair.public, received=1, sent=1, at=1)
    fly.later()
    assert words.usage_of(fresh.device) == (101, 11)


def test_faults_leave_the_tunnel_as_it_is_and_the_agent_returns(fly, here):
    here()
    fly.later()
    before = dict(fly.driver.peers)
    for fault in (
        httpx.ReadTimeout("slow"),
        httpx.Response(500),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"peers": []}),
        httpx.Response(401),
    ):
        fly.faults = [fault]
        with pytest.raises(ApiError):
            fly.later()
        assert fly.driver.peers == before
    fly.later()


def test_secrets_on_the_disk_are_for_the_owner_alone(fly, tmp_path, here):
    for name in ("private.key", "meter.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_damaged_state_is_a_new_beginning_and_a_damaged_key_is_not(fly, tmp_path, here):
    fresh = here()
    fly.later()
    fly.driver.move(fresh.pair.public, received=100, sent=10, at=1)
    fly.later()
    (tmp_path / "meter.json").write_text('{"life": ')
    fly.agent = fly.start()
    fly.later()
    assert words.usage_of(fresh.device) == (100, 10)
    (tmp_path / "private.key").write_text("x")
    with pytest.raises(ValueError, match="not a key"):
        fly.start()


def test_waits_grow_with_jitter_and_stay_bounded():
    assert 0.5 <= backoff(1) <= 1
    assert 30 <= backoff(50) <= 60
    assert backoff(1, at_least=60) == 60


def test_a_stopped_agent_hands_in_a_last_report(fly):
    fly.agent.stop()
    fly.agent.run()
    assert fly.calls == ["report"]


def test_the_public_key_is_curve25519s():
    for _ in range(5):
        private = x25519.new_private()
        theirs = X25519PrivateKey.from_private_bytes(x25519.decode(private))
        assert x25519.decode(x25519.public_of(private)) == theirs.public_key().public_bytes_raw()


@pytest.mark.parametrize(
    "change",
    [
        {"public_key": "x"},
        {"public_key": f"{words.NODE_KEY}\nprivate_key=00"},
        {"preshared_key": ""},
        {"allowed_ips": ["0.0.0.0/0\nremove=true"]},
        {"allowed_ips": "10.0.0.1/32"},
    ],
)
def test_an_answer_that_could_say_more_than_it_should_is_refused(change):
    peer = {
        "public_key": words.NODE_KEY,
        "preshared_key": words.NODE_KEY,
        "allowed_ips": ["10.0.0.2/32"],
    }
    interface = {"listen_port": 1, "addresses": ["10.0.0.1/24"]}
    good = {"version": "v", "interface": interface, "peers": [peer]}
    assert len(parse(good).peers) == 1
    with pytest.raises(ApiError):
        parse(good | {"peers": [peer | change]})
