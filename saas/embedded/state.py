"""The folder var/: secrets, addresses, logs, pids. One stack runs from it at a time.

`var/env` (mode 0600) is the environment of the running stack in a form that `saas.settings` reads,
so that `manage.py shell` in another terminal speaks to the same servers. A real environment
variable always wins over it.
"""

from __future__ import annotations

import base64
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from saas.embedded.postgres import write_secret
from saas.errors import Misconfigured

BASE = Path(__file__).resolve().parent.parent.parent


def var() -> Path:
    return Path(os.environ.get("HARBOR_VAR") or BASE / "var").absolute()


def generate_secrets() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SEALING_KEYS": "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "STRIPE_SECRET_KEY": "sk_test_" + secrets.token_hex(24),  # pragma: allowlist secret
        "STRIPE_WEBHOOK_SECRET": "whsec_" + secrets.token_hex(24),  # pragma: allowlist secret
        "STRIPE_ACCOUNT_ID": "acct_" + secrets.token_hex(8),
        "METRICS_TOKEN": secrets.token_urlsafe(24),
    }


def load_secrets(folder: Path) -> dict[str, str]:
    """The secrets of this folder, made on the first call; one that is missing is added."""
    path = folder / "secrets.env"
    kept = read_env(path)
    complete = {**generate_secrets(), **kept}
    if complete != kept:
        write_env(path, complete)
    return complete


def read_env(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write_env(path: Path, values: Mapping[str, str]) -> None:
    write_secret(path, "".join(f"{name}={value}\n" for name, value in values.items()))


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; a second holder gets Misconfigured."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Misconfigured(
                f"Harbor already runs from {folder} ({lock.read().strip() or 'just starting'})."
                " Stop that one first: press Ctrl-C in its terminal."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield
        lock.truncate(0)


def forget(folder: Path) -> None:
    """Remove everything that a start made, but keep logs and the tests' template."""
    for name in ("valkey", "sandbox", "node", "run", "ready", "metrics"):
        shutil.rmtree(folder / name, ignore_errors=True)
    made = ("secrets.env", "env", "prepared", "logins.txt", "demo-begun", "celerybeat-schedule*")
    for path in (path for name in made for path in folder.glob(name)):
        path.unlink(missing_ok=True)
