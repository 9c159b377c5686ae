"""The demo's server: registered once, opened by the file that its simulated node reads."""

from __future__ import annotations

import stat

import pytest

from vpn import servers
from vpn.agent import state, x25519
from vpn.models import Server

pytestmark = pytest.mark.django_db


def test_the_token_in_the_file_opens_the_server_and_stays(tmp_path):
    server = servers.ensure_demo_server(tmp_path)
    token = (tmp_path / "token").read_text()
    assert servers.authenticate(token) == server
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert servers.ensure_demo_server(tmp_path) == server
    assert (tmp_path / "token").read_text() == token
    assert server.public_key == x25519.public_of(state.private_key(tmp_path))


def test_a_file_of_another_database_is_replaced(tmp_path):
    tmp_path.joinpath("token").write_text("hn_1_" + "A" * 43)
    server = servers.ensure_demo_server(tmp_path)
    assert servers.authenticate((tmp_path / "token").read_text()) == server


def test_a_node_that_lost_its_files_gets_new_ones_for_the_same_server(tmp_path):
    server = servers.ensure_demo_server(tmp_path / "a")
    assert servers.ensure_demo_server(tmp_path / "b") == server
    again = Server.objects.get()
    assert again.public_key == x25519.public_of(state.private_key(tmp_path / "b"))
