"""Running PostgreSQL when we are root, which it refuses.

As root its processes get the uid 65534 (nobody) and no groups, and everything they touch has to be
reachable for that uid, even when the checkout or its virtual environment lies in a folder that
only root can enter. As an ordinary user all of this is a no-op.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from saas.errors import Misconfigured

NOBODY = 65534
CACHE = Path("/var/cache/harbor")
STATE = Path("/var/lib/harbor")


def is_root() -> bool:
    return os.geteuid() == 0


def as_nobody() -> dict[str, Any]:
    """The keyword arguments for subprocess that drop root; empty for an ordinary user."""
    if not is_root():
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}


def reachable(path: Path) -> bool:
    """Whether every folder above `path` lets strangers pass."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def home(state: Path, name: str) -> Path:
    """The folder for the data of a server that runs without root: `state/name` where it can be.

    As root below a closed folder it is one of our own under /var/lib, named after `state`, so that
    the next start finds it again. The folder may not exist yet.
    """
    if not is_root():
        return state / name
    state.mkdir(parents=True, exist_ok=True)
    if reachable(state / name):
        return state / name
    digest = hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:16]
    return STATE / digest / name


def make_home(path: Path) -> None:
    """Make the folder (0700) and hand it to the uid that the server will run as."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_relative_to(STATE):
        path.parent.chmod(0o755)
        STATE.chmod(0o755)
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    if is_root():
        os.chown(path, NOBODY, NOBODY)


def runnable(install: Path, program: str, version: str) -> Path:
    """`install`, or a copy of it that the uid we drop to can run (`program` is tried with
    --version). The copy is owned by root, open to read, named by its version and made once."""
    if not is_root() or _runs(install / program):
        return install
    copy = CACHE / f"{install.parent.name}-{version}"
    if not _trusted(copy):
        _copy(install, copy)
    if not _runs(copy / program):
        raise Misconfigured(
            f"PostgreSQL can't run as root, and the user {NOBODY} can't run it from {copy} either."
            " Start Harbor as an ordinary user."
        )
    return copy


def _runs(program: Path) -> bool:
    command = [str(program), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, **as_nobody())
    except OSError:  # not reachable, not executable, or no such uid in this user namespace
        return False
    return done.returncode == 0


def _trusted(copy: Path) -> bool:
    """A copy that somebody else could have written is not run."""
    if not copy.is_dir():
        return False
    info = copy.stat()
    return info.st_uid == 0 and not info.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _copy(install: Path, copy: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    CACHE.chmod(0o755)
    fresh = Path(tempfile.mkdtemp(dir=CACHE, prefix=".copying-"))
    try:
        shutil.copytree(install, fresh, dirs_exist_ok=True)
        for path in [fresh, *fresh.rglob("*")]:
            program = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if program else 0o644)
        fresh.rename(copy)
    except OSError:
        # Another start may have renamed its own copy here first.
        if not _trusted(copy):
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
