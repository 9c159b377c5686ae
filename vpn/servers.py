"""Servers and their agents' tokens. The token is shown once; the database keeps its hash."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path
from typing import Any

from django.db import transaction

from accounts.models import User
from saas import audit
from vpn.agent import state as node_files
from vpn.agent import x25519
from vpn.models import Server

TOKEN = re.compile(r"hn_([1-9][0-9]{0,17})_([A-Za-z0-9_-]{43})")
DEMO = {
    "name": "demo-1",
    "region": "Harbor demo",
    "endpoint_host": "127.0.0.1",
    "endpoint_port": 51820,
    "network": "10.89.0.0/16",
    "network6": "fd89:0:0:1::/64",
    "dns": "10.89.0.1",
}


def register(*, actor: User | None, **fields: Any) -> tuple[Server, str]:
    """Create a server; return it with its agent's token, which is not to be had again. Audited."""
    with transaction.atomic():
        server = Server(**fields)
        server.full_clean()
        server.save()
        audit.record("server.registered", server, actor=actor)
        token = rotate_token(server, actor=actor)
    return server, token


def rotate_token(server: Server, *, actor: User | None) -> str:
    """Give the server's agent a new token and return it; the old one stops working. Audited."""
    token = f"hn_{server.pk}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        Server.objects.filter(pk=server.pk).update(token_hash=_hash(token))
        audit.record("server.token_issued", server, actor=actor)
    return token


def authenticate(token: str) -> Server | None:
    """Return the server whose agent holds `token`, or None. Compares in constant time."""
    match = TOKEN.fullmatch(token)
    server = Server.objects.filter(pk=int(match[1])).first() if match else None
    expected = server.token_hash if server else _hash("")
    return server if hmac.compare_digest(_hash(token), expected) and server else None


def ensure_demo_server(state: Path) -> Server:
    """See that there is a demo server, and that the node which keeps its state in `state` is its.

    Writes `state/token` and `state/private.key` (0600) where they are missing or of another
    database. For `manage.py up`, whose simulated node reads them. Safe to repeat.
    """
    path = state / "token"
    public_key = x25519.public_of(node_files.private_key(state))
    known = authenticate(path.read_text().strip()) if path.exists() else None
    if known and known.public_key == public_key:
        return known
    server = Server.objects.filter(name=DEMO["name"]).first()
    if server:
        Server.objects.filter(pk=server.pk).update(public_key=public_key)
        token = rotate_token(server, actor=None)
    else:
        server, token = register(actor=None, public_key=public_key, **DEMO)
    node_files.write_secret(path, token)
    return server


def _hash(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()
