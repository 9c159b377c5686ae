"""The first start, before any package of ours is there: what goes wrong is a sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from saas.embedded import setup


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, without uv on the PATH."""
    venv = tmp_path / ".venv"
    monkeypatch.setattr(setup, "BASE", tmp_path)
    monkeypatch.setattr(setup, "VENV", venv)
    monkeypatch.setattr(setup, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(setup, "STAMP", venv / ".harbor")
    monkeypatch.setattr(setup, "ROOM_NEEDED", 1)
    monkeypatch.setenv("PATH", "/nowhere")
    return tmp_path


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_full_disk(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "ROOM_NEEDED", 1 << 60)
    assert setup.main() == 1
    assert "Free some space and start again" in capsys.readouterr().err
    assert not setup.VENV.exists()


def test_a_python_without_virtual_environments(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = program(checkout / "python", "sys.exit('ensurepip is not available')")
    monkeypatch.setattr(sys, "executable", str(bare))
    assert setup.main() == 1
    version = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert f"apt-get install {version}" in capsys.readouterr().err
    assert not setup.VENV.exists()


def test_an_index_out_of_reach_is_said_and_tried_again(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(setup.PYTHON, "sys.exit('install' in sys.argv and 'no route to host')")
    for _ in range(2):
        assert setup.main() == 1
        assert "it needs a connection. Then start again" in capsys.readouterr().err
    assert not setup.STAMP.exists()

    program(setup.PYTHON, "sys.exit(0)")
    assert setup.main() == 0
    program(setup.PYTHON, "sys.exit('install' in sys.argv)")
    assert setup.main() == 0  # the stamp says that nothing is left to do


def test_a_folder_of_another_user(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root may write everywhere, so here the system's answer is given by hand."""
    program(setup.PYTHON, "sys.exit(0)")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(setup.STAMP))

    monkeypatch.setattr(Path, "write_text", refuse)
    assert setup.main() == 1
    assert "Was an earlier start made by another user?" in capsys.readouterr().err
