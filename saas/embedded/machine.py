"""What the machine must offer, each lack said in a sentence with its remedy."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from saas.errors import Misconfigured

LOOPBACK = "127.0.0.1"
ROOM_NEEDED = 500 * 1024 * 1024
FULL = 20 * 1024 * 1024
ZONES = Path("/usr/share/zoneinfo")


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether we could listen on the loopback port (a closing connection does not hold it)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def require_port(port: int) -> None:
    if not port_is_free(port):
        raise Misconfigured(
            f"Port {port} is in use by another program, so Harbor can't listen there."
            f" Stop that program, or choose another port: make run PORT={port + 80}"
        )


def require_room(folder: Path) -> None:
    """At least 500 MB free: a database that meets a full disk stops in the middle of its work."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < ROOM_NEEDED:
        raise Misconfigured(
            f"The disk of {folder} has {free // 1024**2} MB left and Harbor needs"
            f" {ROOM_NEEDED // 1024**2} MB. Free some space and start again."
        )


def remedy(folder: Path) -> str:
    """What to add to the words of a failure that a full disk explains: programs rarely say so."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if shutil.disk_usage(there).free >= FULL:
        return ""
    return f"\nThe disk of {folder} is full. Free some space and start again; nothing is lost."


def require_time_zones() -> None:
    if not (ZONES / "UTC").exists():
        raise Misconfigured(
            f"This machine has no time-zone database ({ZONES} is missing or empty), and PostgreSQL"
            " needs it. Install it (Debian, Ubuntu: apt-get install tzdata) and start again."
        )
