"""Parsing of what a node reports. The node is ours, but its words are checked like a stranger's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError

from saas.errors import Refused
from vpn import validators

MOST_PEERS = 20_000
# 2^53: exact in every JSON reader, and 9 PB for one key in one epoch.
MOST_BYTES = 2**53
EPOCH = re.compile(r"[0-9a-f-]{8,36}")
VERSION = re.compile(r"[0-9a-zA-Z.-]{0,64}")


@dataclass(frozen=True)
class Reading:
    """A key's counters in one epoch, absolute since its beginning, in bytes."""

    public_key: str
    epoch: str
    received: int
    sent: int
    last_handshake: datetime | None
    present: bool  # False: the node dropped the key, and these are its last counters


@dataclass(frozen=True)
class Report:
    """What a node says of itself. `sample` numbers its reports, `applied` is what it runs."""

    agent: str
    public_key: str
    applied: str
    sample: int
    error: str
    readings: tuple[Reading, ...]


def parse(data: Any) -> Report:
    """Return the report in `data` (decoded JSON); raise Refused("bad_report") that names the
    field otherwise. Accepts all or nothing."""
    body = _object(data, "report")
    peers = body.get("peers")
    if not isinstance(peers, list) or len(peers) > MOST_PEERS:
        raise _bad("peers")
    return Report(
        agent=_match(body, "agent", VERSION),
        public_key=_key(body),
        applied=_match(body, "applied", VERSION),
        sample=_number(body, "sample"),
        error=_text(body, "error")[:500],
        readings=tuple(_reading(_object(peer, "peers")) for peer in peers),
    )


def _reading(peer: dict[str, Any]) -> Reading:
    present = peer.get("present", True)
    if not isinstance(present, bool):
        raise _bad("present")
    return Reading(
        public_key=_key(peer),
        epoch=_match(peer, "epoch", EPOCH),
        received=_number(peer, "received"),
        sent=_number(peer, "sent"),
        last_handshake=_moment(peer),
        present=present,
    )


def _moment(peer: dict[str, Any]) -> datetime | None:
    seconds = _number(peer, "last_handshake", most=4_102_444_800)  # the year 2100
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _key(body: dict[str, Any]) -> str:
    key = _text(body, "public_key")
    try:
        validators.wireguard_key(key)
    except ValidationError as e:
        raise _bad("public_key") from e
    return key


def _match(body: dict[str, Any], name: str, allowed: re.Pattern[str]) -> str:
    text = _text(body, name)
    if not allowed.fullmatch(text):
        raise _bad(name)
    return text


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str) or "\x00" in value:
        raise _bad(name)
    return value


def _number(body: dict[str, Any], name: str, most: int = MOST_BYTES) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _bad(name)
    return value


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad(name)
    return value


def _bad(name: str) -> Refused:
    return Refused("bad_report", f"{name} is missing or malformed")
