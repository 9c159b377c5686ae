"""Devices: what creating, re-keying and revoking one guarantees."""

from __future__ import annotations

import uuid

import pytest
from auditlog.models import LogEntry

from saas.errors import Refused
from saas.tenancy import scope
from tests.factories import make_brand, make_user
from tests.vpn import words
from vpn import devices
from vpn.models import AddressLease, Device, Peer


def refusal(call):
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.code


def actions(device):
    return [
        entry.additional_data["event"]
        for entry in LogEntry.objects.filter(
            object_pk=str(device.pk), content_type__model="device"
        ).order_by("id")
    ]


def test_a_device_gets_the_lowest_free_address_and_a_key(add_device, node):
    first, second = add_device("Laptop"), add_device("Phone")
    network = node.server.network.removesuffix("0/24")
    assert first.addresses == (f"{network}2",)
    assert second.addresses == (f"{network}3",)
    assert first.pair.public != second.pair.public
    assert actions(first.device) == ["device.created"]


def test_a_released_address_is_leased_again(add_device, roomy, owner):
    first = add_device("Laptop")
    add_device("Phone")
    devices.revoke(device_id=first.device.pk, brand_id=roomy.pk, actor=owner)
    assert add_device("Tablet").addresses == first.addresses


def test_with_an_ipv6_network_a_device_gets_both(add_device, make_node):
    both = make_node(network="10.7.0.0/24", network6="fd89:7::/64")
    assert add_device(server_id=both.server.pk).addresses == ("10.7.0.2", "fd89:7::2")


def test_brands_share_a_network_without_sharing_an_address(add_device, node):
    other = make_brand()
    words.put_on_plan(other, "leads_growth")
    mine = add_device()
    theirs = add_device(brand_id=other.pk)
    assert set(mine.addresses).isdisjoint(theirs.addresses)


def test_a_full_network_refuses(add_device, make_node):
    tiny = make_node(network="10.8.0.0/29")  # .1 the server, .2-.6 devices, .7 broadcast
    for number in range(5):
        add_device(f"d{number}", server_id=tiny.server.pk)
    other = make_brand()
    words.put_on_plan(other, "leads_growth")
    assert refusal(lambda: add_device(brand_id=other.pk, server_id=tiny.server.pk)) == "server_full"


def test_the_private_key_is_nowhere_in_the_database(add_device, roomy):
    from django.db import connection

    fresh = add_device()
    with scope(roomy), connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            if table.startswith(("vpn_", "auditlog_")):
                cursor.execute(f'SELECT t::text FROM "{table}" t')
                text = "\n".join(row[0] for row in cursor.fetchall())
                assert fresh.pair.private not in text, table
                assert fresh.preshared not in text, table
    assert fresh.pair.private not in repr(fresh)
    assert fresh.preshared not in repr(fresh)


def test_the_plan_limits_live_devices(add_device, roomy, owner):
    made = [add_device(f"d{n}") for n in range(5)]
    assert refusal(lambda: add_device("one more")) == "device_limit"
    devices.revoke(device_id=made[0].device.pk, brand_id=roomy.pk, actor=owner)
    add_device("one more")


def test_a_brand_that_is_not_entitled_gets_no_device(add_device, roomy):
    words.put_on_plan(roomy, "leads_growth", standing="downgraded")
    assert refusal(add_device) == "not_entitled"
    with scope(roomy):
        assert not Device.objects.exists()


def test_the_same_form_sent_twice_makes_one_device(add_device, roomy):
    key = uuid.uuid4()
    first = add_device(request_key=key)
    with pytest.raises(devices.AlreadyMade) as again:
        add_device(request_key=key)
    assert again.value.device == first.device
    with scope(roomy):
        assert Device.objects.count() == 1


def test_a_name_is_used_once_by_an_owner_until_it_is_revoked(add_device, roomy, owner):
    first = add_device("Laptop")
    assert refusal(lambda: add_device(" Laptop ")) == "name_taken"
    devices.revoke(device_id=first.device.pk, brand_id=roomy.pk, actor=owner)
    add_device("Laptop")
    add_device("Laptop", owner=make_user())


@pytest.mark.parametrize(
    "name",
    [
        "", "   ", "x" * 41, "a\nPostUp = reboot", "a\r\n[Peer]", "a\x00b", "$(reboot)", "`id`",
        "a;b", "a|b", "a&b", "<script>", 'a"b', "a\\b", "../../etc/passwd", "-rf", ".hidden",
        "a\u2028b", "a\u202eb", "a\tb", "%s", "{{ 7 }}", "a=b", "#a",
    ],
)  # fmt: skip
def test_a_name_with_anything_but_words_is_refused(add_device, roomy, name):
    assert refusal(lambda: add_device(name)) == "bad_name"
    with scope(roomy):
        assert not Device.objects.exists()


@pytest.mark.parametrize("name", ["Zoë's iPhone (work)", "ノート", "a", "7", "x" * 40, "a.b_c-d"])
def test_people_name_devices_in_their_own_words(add_device, name):
    assert add_device(name).device.name == name


def test_the_database_itself_refuses_a_name_with_control_characters(scoped, node, owner):
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError, match="vpn_device_name"), transaction.atomic():
        Device.objects.create(owner=owner, server=node.server, name="a\nPostUp = reboot")


def test_revoking_is_final_audited_once_and_safe_to_repeat(add_device, roomy, owner):
    fresh = add_device()
    for _ in range(2):
        devices.revoke(device_id=fresh.device.pk, brand_id=roomy.pk, actor=owner, reason="lost")
    with scope(roomy):
        device = Device.objects.get()
        assert device.revoked_at is not None
        assert not Peer.objects.filter(retired_at=None).exists()
        assert not AddressLease.objects.filter(released_at=None).exists()
    assert actions(device) == ["device.created", "device.revoked"]


def test_new_keys_retire_the_old_and_keep_the_address(add_device, roomy, owner):
    fresh = add_device()
    place = {"device_id": fresh.device.pk, "brand_id": roomy.pk, "actor": owner}
    replaced = words.live_key(fresh.device)
    again = devices.replace_keys(**place, replaces=replaced)
    assert again.addresses == fresh.addresses
    assert again.pair.public != fresh.pair.public
    with scope(roomy):
        assert Peer.objects.get(retired_at=None).public_key == again.pair.public
    assert refusal(lambda: devices.replace_keys(**place, replaces=replaced)) == "already_replaced"
    assert words.live_key(fresh.device) != replaced
    assert actions(fresh.device) == ["device.created", "device.keys_replaced"]
    devices.revoke(**place)
    assert refusal(lambda: devices.replace_keys(**place, replaces=replaced)) == "device_revoked"


def test_a_key_of_another_device_or_brand_is_not_replaced(add_device, roomy, owner):
    laptop, phone = add_device("Laptop").device, add_device("Phone").device
    other = make_brand()
    words.put_on_plan(other, "leads_growth")
    theirs = add_device(brand_id=other.pk).device
    keys = [words.live_key(device) for device in (laptop, phone, theirs)]
    for key in (*keys[1:], 0, 2**62):
        place = {"device_id": laptop.pk, "brand_id": roomy.pk, "actor": owner, "replaces": key}
        assert refusal(lambda place=place: devices.replace_keys(**place)) == "already_replaced"
    assert [words.live_key(device) for device in (laptop, phone, theirs)] == keys


def test_a_server_that_is_off_or_has_no_key_yet_takes_no_devices(add_device, make_node):
    off = make_node(enabled=False)
    fresh = make_node(public_key="")
    assert refusal(lambda: add_device(server_id=off.server.pk)) == "server_unknown"
    assert refusal(lambda: add_device(server_id=fresh.server.pk)) == "server_not_ready"
    assert refusal(lambda: add_device(server_id=10**9)) == "server_unknown"
