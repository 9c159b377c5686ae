"""The embedded Valkey: behind a password, kept over restarts, never a stranger."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from saas.embedded.valkey import Valkey


def test_data_survives_a_restart_and_strangers_are_refused(tmp_path: Path) -> None:
    server = Valkey(tmp_path)
    server.start()
    try:
        with redis.Redis.from_url(server.url()) as client:
            client.set("kept", "yes")
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=server.port).ping()
        assert server.stop()
        server.start()
        with redis.Redis.from_url(server.url()) as client:
            assert client.get("kept") == b"yes"
    finally:
        server.stop()


def test_a_foreign_server_on_its_port_is_not_taken_for_its_own(tmp_path: Path) -> None:
    foreign, ours = Valkey(tmp_path / "a", durable=False), Valkey(tmp_path / "b", durable=False)
    foreign.start()
    try:
        ours.port = foreign.port
        ours.start()
        assert ours.port != foreign.port
        with redis.Redis.from_url(ours.url()) as client:
            assert client.info("server")["process_id"] == ours.pid
    finally:
        ours.stop()
        foreign.stop()
