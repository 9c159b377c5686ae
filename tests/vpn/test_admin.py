"""The VPN in staff's console."""

from __future__ import annotations

import re

import pytest
from auditlog.models import LogEntry
from django.utils import timezone
from django.utils.formats import localize

from tests.factories import make_user
from tests.vpn import words
from vpn import devices, servers
from vpn.models import Server

ADMIN = "/admin/vpn/"
MODELS = ["server", "device", "peer", "addresslease", "deviceusage", "usagesample", "counter"]


@pytest.fixture
def staff(db, client_for, settings):
    settings.DEBUG = True  # no second factor; tests/accounts shows that it is asked for
    user = make_user(email="staff@example.test", is_staff=True, is_superuser=True)
    return client_for(user)


def events():
    return list(LogEntry.objects.order_by("id").values_list("additional_data__event", flat=True))


def token_in(response):
    assert "no-store" in response["Cache-Control"]
    return re.search(r"hn_\d+_[\w-]{43}", response.content.decode())[0]


def test_the_form_of_a_new_server_asks_only_for_what_staff_know(staff):
    page = staff.get(f"{ADMIN}server/add/").content.decode()
    assert "Endpoint host" in page
    assert "Created at" not in page
    assert "Last seen" not in page


def test_a_devices_page_tells_what_became_of_it(staff, add_device, roomy, owner):
    device = devices.revoke(
        device_id=add_device().device.pk, brand_id=roomy.pk, actor=owner, reason="lost"
    )
    page = staff.get(f"{ADMIN}device/{device.pk}/change/").content.decode()
    for label, moment in (("Created at", device.created_at), ("Revoked at", device.revoked_at)):
        assert label in page
        assert localize(timezone.localtime(moment)) in page


def test_a_new_server_shows_its_token_once(staff):
    fields = {
        "name": "fra-1",
        "region": "Frankfurt",
        "endpoint_host": "fra1.vpn.example",
        "endpoint_port": "51820",
        "network": "10.9.0.0/16",
        "network6": "",
        "dns": "9.9.9.9",
        "public_key": "",
        "enabled": "on",
    }
    for bad in (
        {"network": "10.9.0.1/16"},
        {"network": "10.0.0.0/8"},
        {"endpoint_host": "x; reboot"},
        {"endpoint_host": "a\nb"},
        {"dns": "9.9.9.9\nPostUp = reboot"},
        {"endpoint_port": "0"},
        {"network6": "fd89::/126"},
        {"public_key": "x"},
    ):
        assert b"errornote" in staff.post(f"{ADMIN}server/add/", fields | bad).content, bad
    assert not Server.objects.exists()
    token = token_in(staff.post(f"{ADMIN}server/add/", fields))
    assert servers.authenticate(token) == Server.objects.get()
    assert "server.created_by_staff" in events()
    assert (
        token not in staff.get(f"{ADMIN}server/{Server.objects.get().pk}/change/").content.decode()
    )
    assert token not in str(list(LogEntry.objects.values()))


def test_a_token_is_issued_again_and_the_old_one_ends(staff, node):
    response = staff.post(
        f"{ADMIN}server/", {"action": "issue_token", "_selected_action": [node.server.pk]}
    )
    old, node.token = node.token, token_in(response)
    assert servers.authenticate(node.token) == node.server
    assert servers.authenticate(old) is None


def test_a_device_is_revoked_by_staff_with_a_trace(staff, node, add_device):
    device = add_device().device
    staff.post(f"{ADMIN}device/", {"action": "revoke", "_selected_action": [device.pk]})
    assert node.peers() == []
    entry = LogEntry.objects.get(additional_data__event="device.revoked")
    assert entry.actor.email == "staff@example.test"
    assert entry.additional_data["reason"] == "revoked by staff"


def test_every_page_opens_and_tells_no_secret(staff, node, add_device):
    fresh = add_device()
    node.report(words.reading(fresh.pair.public, 5, 6))
    for model in (
        "server",
        "device",
        "peer",
        "addresslease",
        "deviceusage",
        "usagesample",
        "counter",
    ):
        listed = staff.get(f"{ADMIN}{model}/")
        assert listed.status_code == 200, model
        for link in re.findall(rf"/admin/vpn/{model}/\d+/change/", listed.content.decode()):
            page = staff.get(link)
            assert page.status_code == 200
            assert fresh.preshared not in page.content.decode()
    assert staff.get(f"{ADMIN}device/add/").status_code == 403
