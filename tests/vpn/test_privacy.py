"""What a brand takes along of its VPN, and that an erasure leaves nothing of it."""

from __future__ import annotations

import io
import json
import zipfile

from django.apps import apps
from django.db import connection
from django.utils import timezone

from accounts import privacy
from accounts.models import Brand
from saas.tenancy import everyone, scope
from tests.vpn import words

TABLES = ["device", "peer", "addresslease", "counter", "usagesample", "deviceusage"]


def rows_of(brand):
    with everyone("count what is left"), connection.cursor() as cursor:
        counts = {}
        for table in TABLES:
            cursor.execute(f"SELECT count(*) FROM vpn_{table} WHERE brand_id = %s", [brand.pk])
            counts[table] = cursor.fetchone()[0]
    return counts


def test_an_export_names_devices_and_usage_and_no_key(add_device, node, roomy):
    fresh = add_device("Laptop")
    node.report(words.reading(fresh.pair.public, 5, 6))
    archive = zipfile.ZipFile(io.BytesIO(b"".join(privacy.export(roomy.pk))))
    devices = [json.loads(line) for line in archive.read("vpn_devices.jsonl").splitlines()]
    assert [device["name"] for device in devices] == ["Laptop"]
    usage = [json.loads(line) for line in archive.read("vpn_usage.jsonl").splitlines()]
    assert [(day["received"], day["sent"]) for day in usage] == [(5, 6)]
    everything = b"".join(archive.read(name) for name in archive.namelist()).decode()
    for secret in (fresh.pair.private, fresh.preshared, fresh.pair.public):
        assert secret not in everything


def test_an_erasure_cuts_the_devices_off_and_leaves_none_of_their_rows(add_device, node, roomy):
    fresh = add_device("Laptop")
    node.report(words.reading(fresh.pair.public, 5, 6))
    with scope(roomy):
        Brand.objects.filter(pk=roomy.pk).update(erase_requested_at=timezone.now())
    assert privacy.erase(roomy.pk)
    assert node.peers() == []
    assert rows_of(roomy) == dict.fromkeys(TABLES, 0)


def test_the_history_that_outlives_an_erasure_has_no_words_of_people():
    columns = {field.name for field in apps.get_model("vpn", "DeviceEvent")._meta.fields}
    assert "name" not in columns
    assert {"brand", "owner", "suspended_at", "revoked_at"} <= columns
