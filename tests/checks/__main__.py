"""`python -m tests.checks [NAME ...]`: run all checks (or those named), two at a time.

Prints one line a check, then the output of those that failed. Exits 1 when any failed. A check
that the machine can't do says so and why; it does not count as passed in silence.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
APPS = ("saas", "accounts", "billing", "leads", "vpn")
UNREACHABLE = ("Failed to establish", "Max retries", "ConnectionError", "NameResolution", "503 ")
UNREACHABLE += ("403 Client Error", "404 Client Error", "Temporary failure", "timed out")


@dataclass(frozen=True)
class Check:
    name: str
    command: tuple[str, ...]
    needs_network: bool = False


@dataclass(frozen=True)
class Outcome:
    check: Check
    code: int
    output: str
    seconds: float

    @property
    def word(self) -> str:
        if self.code == 0:
            return "passed"
        if self.check.needs_network and any(sign in self.output for sign in UNREACHABLE):
            return "skipped"
        return "FAILED"


def tool(name: str, program: str, *arguments: str, needs_network: bool = False) -> Check:
    return Check(name, (str(BIN / program), *arguments), needs_network)


def checks() -> list[Check]:
    """The slowest first, so that the last one does not run alone."""
    return [
        tool("mypy", "mypy"),
        Check("migrations", (sys.executable, "-m", "tests.checks.migrations")),
        tool("imports", "lint-imports", "--no-cache"),
        Check("secrets", (sys.executable, "-m", "tests.checks.secrets")),
        tool("bandit", "bandit", "--quiet", "--configfile", "pyproject.toml", "-r", *APPS),
        tool("djlint", "djlint", "--lint", "--quiet", "templates"),
        Check("house", (sys.executable, "-m", "tests.checks.house")),
        tool("ruff", "ruff", "check", "."),
        tool("format", "ruff", "format", "--check", "."),
        tool(
            *("pip-audit", "pip-audit", "--requirement", "requirements.txt", "--disable-pip"),
            *("--no-deps", "--progress-spinner", "off", "--timeout", "15"),
            needs_network=True,
        ),
    ]


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=BASE,
        capture_output=True,
        text=True,
        check=True,
    )
    return [f for f in listed.stdout.splitlines() if (BASE / f).is_file()]


def run(check: Check) -> Outcome:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as state:
        env = {
            **os.environ,
            "DEBUG": "true",
            "DJANGO_SETTINGS_MODULE": "saas.settings",
            "HARBOR_VAR": state,
            "SECRET_KEY": "for-the-checks-only",
            "PYTHONPATH": str(BASE),
        }
        done = subprocess.run(
            check.command,
            cwd=BASE,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    outcome = Outcome(check, done.returncode, done.stdout.strip(), time.monotonic() - began)
    print(f"  {check.name:<11} {outcome.word:<8} {outcome.seconds:5.1f} s", flush=True)
    return outcome


def main(names: list[str]) -> int:
    wanted = [check for check in checks() if not names or check.name in names]
    if unknown := set(names) - {check.name for check in wanted}:
        print(f"There is no check named {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = list(pool.map(run, wanted))
    for outcome in outcomes:
        if outcome.word == "skipped":
            reason = outcome.output.splitlines()[-1][:200]
            print(f"\n{outcome.check.name} was skipped, its index is out of reach: {reason}")
        elif outcome.word == "FAILED":
            print(f"\n--- {outcome.check.name}\n{outcome.output}")
    failed = [outcome.check.name for outcome in outcomes if outcome.word == "FAILED"]
    print(
        f"\n{len(failed)} of {len(outcomes)} checks failed"
        + (f": {', '.join(failed)}" * bool(failed))
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
