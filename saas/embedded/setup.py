"""Make .venv from the lock: run by the Makefile, before any package of ours is there.

Standard library only. uv when it is on the PATH (six times faster), pip otherwise. A stamp holds
what was installed, so that a start with nothing to do costs nothing. Every failure that we know
ends in a sentence that says what to do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent.parent
VENV = BASE / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = BASE / "requirements-dev.txt"
STAMP = VENV / ".harbor"
ROOM_NEEDED = 1200 * 1024 * 1024


class SetupError(Exception):
    """The message is what the person reads."""


def main() -> int:
    try:
        setup()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(
            f"\nThere is no permission to write {error.filename}. Was an earlier start made by"
            " another user? Remove .venv and var, or use that user.",
            file=sys.stderr,
        )
        return 1
    return 0


def setup() -> None:
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if _works() and STAMP.exists() and STAMP.read_text() == wanted:
        STAMP.touch()
        return
    free = shutil.disk_usage(BASE).free
    if free < ROOM_NEEDED:
        raise SetupError(
            f"The disk of {BASE} has {free // 1024**2} MB left; the packages and the database need"
            f" {ROOM_NEEDED // 1024**2} MB. Free some space and start again."
        )
    print("Installing the packages of requirements-dev.txt (once; a minute or so)", flush=True)
    uv = shutil.which("uv")
    if uv:
        _with_uv(uv)
    else:
        _with_pip()
    STAMP.write_text(wanted)


def _works() -> bool:
    if not PYTHON.exists():
        return False
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    return (
        subprocess.run([str(PYTHON), "-c", check], check=False, capture_output=True).returncode == 0
    )


def _with_uv(uv: str) -> None:
    if not _works():
        shutil.rmtree(VENV, ignore_errors=True)
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(VENV)])
    _run([uv, "pip", "sync", "--quiet", "--require-hashes", str(LOCK)])


def _with_pip() -> None:
    if not _works() or not _has_pip():
        shutil.rmtree(VENV, ignore_errors=True)
        _make_venv()
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-input", "--require-hashes", "--requirement", str(LOCK)])


def _has_pip() -> bool:
    command = [str(PYTHON), "-m", "pip", "--version"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _make_venv() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        if "ensurepip" in done.stdout + done.stderr or "No module named venv" in done.stderr:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise SetupError(
                f"This Python ({sys.executable}) can't make virtual environments. Install the"
                f" package python{version}-venv (Debian, Ubuntu: apt-get install"
                f" python{version}-venv), or put uv on the PATH, and start again."
            )
        raise SetupError(f"python -m venv failed:\n{done.stdout}{done.stderr}")


def _run(command: list[str]) -> None:
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV)}
    environment.pop("PYTHONHOME", None)
    if subprocess.run(command, check=False, env=environment, cwd=BASE).returncode == 0:
        return
    if shutil.disk_usage(BASE).free < 50 * 1024 * 1024:
        raise SetupError("The disk is full. Free some space and start again.")
    raise SetupError(
        "The packages could not be installed; the reason is above. The first start downloads them,"
        " so it needs a connection. Then start again: what is already there is kept."
    )


if __name__ == "__main__":
    sys.exit(main())
