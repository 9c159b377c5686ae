"""The agent's API, over HTTP."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from saas.tenancy import scope
from tests.factories import make_brand
from tests.vpn import words
from vpn import access, agent_api, devices, servers
from vpn.models import Peer, Server


def test_the_desired_state_is_the_live_devices_of_every_entitled_brand(add_device, node, roomy):
    other = make_brand()
    words.put_on_plan(other, "leads_growth")
    mine, theirs = add_device(), add_device(brand_id=other.pk)
    state = node.desired().json()
    assert state["interface"] == {
        "listen_port": 51820,
        "addresses": [node.server.network.replace(".0/24", ".1/24")],
    }
    assert state["peers"] == [
        {
            "public_key": fresh.pair.public,
            "preshared_key": fresh.preshared,
            "allowed_ips": [f"{fresh.addresses[0]}/32"],
        }
        for fresh in (mine, theirs)
    ]
    words.put_on_plan(other, "leads_growth", standing="canceled")
    access.converge(other.pk)
    assert [p["public_key"] for p in node.peers()] == [mine.pair.public]


def test_a_node_sees_its_own_devices_alone(add_device, node, make_node):
    add_device()
    assert make_node().peers() == []


def test_an_etag_spares_the_body_until_something_changed(add_device, node, roomy, owner):
    first = node.desired()
    etag = first["ETag"]
    assert node.desired(etag=etag).status_code == 304
    device = add_device().device
    second = node.desired(etag=etag)
    assert second.status_code == 200
    assert second["ETag"] != etag
    place = {"device_id": device.pk, "brand_id": roomy.pk, "actor": owner}
    devices.replace_keys(**place, replaces=words.live_key(device))
    third = node.desired(etag=second["ETag"])
    assert third.status_code == 200
    devices.revoke(**place)
    assert node.desired(etag=third["ETag"]).json()["peers"] == []
    assert first["Cache-Control"] == "no-store"


def test_a_server_that_is_off_is_told_to_hold_nothing(add_device, node):
    add_device()
    Server.objects.filter(pk=node.server.pk).update(enabled=False)
    assert node.peers() == []


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x", "Basic abc", "Bearer hn_1_" + "A" * 43, "Bearer hn_0_x", "Bearer ñ"],
)
@pytest.mark.parametrize("path", ["desired", "report"])
def test_a_wrong_token_is_401_and_says_nothing(node, header, path):
    call = node.client.get if path == "desired" else node.client.post
    response = call(f"/agent/v1/{path}", headers={"Authorization": header})
    assert response.status_code == 401
    assert response.json() == {"error": "unauthorized"}


def test_a_new_token_ends_the_old_one(node):
    old, node.token = node.token, servers.rotate_token(node.server, actor=None)
    assert node.desired().status_code == 200
    node.token = old
    assert node.desired().status_code == 401


def test_the_token_is_kept_as_a_hash(node):
    assert node.token not in json.dumps(list(Server.objects.values()), default=str)


@pytest.mark.parametrize("rate", ["SERVER_RATE", "ADDRESS_RATE"])
def test_too_many_calls_are_told_to_slow_down(node, monkeypatch, time_machine, rate):
    time_machine.move_to(timezone.now(), tick=False)
    monkeypatch.setattr(agent_api, rate, "3/m")
    assert [node.desired().status_code for _ in range(4)] == [200, 200, 200, 429]
    assert node.desired()["Retry-After"] == "15"


def test_the_first_key_that_a_node_tells_is_taken_and_a_later_one_is_not(make_node):
    node = make_node(public_key="")
    assert node.report().status_code == 200
    assert Server.objects.get(pk=node.server.pk).public_key == words.NODE_KEY
    other = "b" + words.NODE_KEY[1:]
    node.report(public_key=other)
    server = Server.objects.get(pk=node.server.pk)
    assert server.public_key == words.NODE_KEY
    assert server.reported["key"] == other


def test_a_report_notes_the_node_and_the_handshake(add_device, node, roomy):
    fresh = add_device()
    at = timezone.now().replace(microsecond=0) - timedelta(seconds=30)
    node.report(words.reading(fresh.pair.public, 5, 7, last_handshake=int(at.timestamp())))
    future = int((at + timedelta(days=400)).timestamp())
    node.report(words.reading(fresh.pair.public, 5, 7, last_handshake=future))
    with scope(roomy):
        assert Peer.objects.get().last_handshake_at == at
    server = Server.objects.get(pk=node.server.pk)
    assert server.is_online(timezone.now())
    assert server.reported["peers"] == 1


def bad(**fields):
    return {
        "peers": [words.reading(**({"key": words.NODE_KEY, "received": 1, "sent": 1} | fields))]
    }


@pytest.mark.parametrize(
    "change",
    [
        {"peers": None}, {"peers": {}}, {"peers": ["x"]}, {"sample": -1}, {"sample": "1"},
        {"sample": True}, {"sample": 2**63}, {"public_key": "x"}, {"public_key": "A" * 44},
        {"applied": "x y"}, {"error": "\x00"}, {"error": 5}, {"peers": [{"epoch": "x"}]},
        bad(key="not a key"), bad(received=-1), bad(received=1.5), bad(received=2**60),
        bad(epoch="'; DROP TABLE x"), bad(last_handshake=10**12), bad(present="yes"),
    ],
)  # fmt: skip
def test_a_malformed_report_is_refused_whole(node, change):
    response = node.report(**change)
    assert response.status_code == 400
    assert response.json()["error"] == "bad_report"
    assert Server.objects.get(pk=node.server.pk).last_seen_at is None


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff", b"NaN", b"[]"])
def test_what_is_not_json_is_refused(node, body):
    response = node.client.post(
        "/agent/v1/report", data=body, content_type="application/json", headers=node.headers()
    )
    assert response.status_code == 400


def test_other_methods_are_405(node):
    assert node.client.post("/agent/v1/desired", headers=node.headers()).status_code == 405
    assert node.client.get("/agent/v1/report", headers=node.headers()).status_code == 405
