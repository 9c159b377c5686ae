"""What the agent keeps on the node's disk: its private key and its memory of counters (0600).

Files are replaced whole (write, sync, rename), so a crash leaves the old one or the new one.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from vpn.agent import x25519
from vpn.agent.meter import Meter

log = logging.getLogger(__name__)


def private_key(folder: Path) -> str:
    """Return the node's private key, made on the first call. Raises ValueError when damaged: a new
    key would silently cut off every device of the node."""
    path = folder / "private.key"
    if not path.exists():
        write_secret(path, x25519.new_private())
    key = path.read_text().strip()
    x25519.decode(key)
    return key


def load_meter(folder: Path) -> Meter:
    """Return the memory of counters; an empty one when there is none that can be read.

    An empty one is safe: bytes on the counters are then taken as counted before.
    """
    path = folder / "meter.json"
    try:
        return Meter.from_json(json.loads(path.read_text()))
    except FileNotFoundError:
        return Meter()
    except (ValueError, KeyError, TypeError) as e:
        log.warning("%s can't be read (%s); counting goes on from here", path, e)
        return Meter()


def save_meter(folder: Path, meter: Meter) -> None:
    """Put the memory on the disk before anything is reported from it. Raises OSError."""
    write_secret(folder / "meter.json", json.dumps(meter.to_json()))


def write_secret(path: Path, text: str) -> None:
    """Put `text` into the file `path`, readable by its owner alone, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
