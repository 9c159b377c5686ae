"""Row-level security, and the two questions that a scope can't answer from one brand's rows."""

from __future__ import annotations

from django.db import migrations

from saas.rls import OpsFunction, TenantPolicy

TABLES = [
    "vpn_device",
    "vpn_deviceevent",
    "vpn_peer",
    "vpn_addresslease",
    "vpn_counter",
    "vpn_usagesample",
    "vpn_deviceusage",
]

# Addresses alone, no word of whose they are: an allocation has to see every brand's.
TAKEN = """
CREATE FUNCTION vpn_taken_addresses(node bigint) RETURNS SETOF text
LANGUAGE sql STABLE AS $body$
  SELECT host(address) FROM vpn_addresslease WHERE server_id = node AND released_at IS NULL
$body$
"""

# What a node should hold, as one hash: a waiting agent's connection asks every second.
FINGERPRINT = """
CREATE FUNCTION vpn_fingerprint(node bigint) RETURNS text
LANGUAGE sql STABLE AS $body$
  SELECT md5(concat_ws('|', s.enabled, s.endpoint_port, s.network, s.network6, (
    SELECT string_agg(p.id || '=' || (
        SELECT string_agg(host(l.address), ',' ORDER BY l.id) FROM vpn_addresslease l
        WHERE l.device_id = d.id AND l.server_id = s.id AND l.released_at IS NULL
      ), ';' ORDER BY p.id)
    FROM vpn_peer p JOIN vpn_device d ON d.id = p.device_id
    WHERE p.server_id = s.id AND p.retired_at IS NULL
      AND d.revoked_at IS NULL AND d.suspended_at IS NULL AND s.enabled
  )))
  FROM vpn_server s WHERE s.id = node
$body$
"""


class Migration(migrations.Migration):
    dependencies = [("vpn", "0001_initial"), ("saas", "0001_ground")]

    operations = [
        *(TenantPolicy(table) for table in TABLES),
        OpsFunction("vpn_taken_addresses(bigint)", TAKEN),
        OpsFunction("vpn_fingerprint(bigint)", FINGERPRINT),
    ]
