"""`python -m tests.bench NAME... | --all [--json] [--check]`: run benches, one after the other.

A bench is a module beside this one with `run() -> Result`. With --json one object a line is
printed: `{bench, figures, limit, ratios, reach, machine}`; --check exits 1 below a reach.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from pathlib import Path

from tests.bench.result import Result


def names() -> list[str]:
    """The modules here that have a `run`; the others help them."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return [path.stem for path in files if "\ndef run() -> Result:" in path.read_text()]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*names(), []], help=", ".join(names()))
    parser.add_argument("--all", action="store_true", help="run every bench")
    parser.add_argument("--json", action="store_true", help="print one JSON object a bench")
    parser.add_argument("--check", action="store_true", help="exit 1 when a reach is missed")
    asked = parser.parse_args()
    wanted = names() if asked.all else asked.name
    if not wanted:
        parser.error("name a bench, or ask for --all")
    if len(wanted) > 1:  # each in a process of its own: Django reads its settings once
        flags = [f"--{flag}" for flag in ("json", "check") if getattr(asked, flag)]
        command = [sys.executable, "-m", "tests.bench", *flags]
        return max(subprocess.run([*command, name], check=False).returncode for name in wanted)
    result: Result = importlib.import_module(f"tests.bench.{wanted[0]}").run()
    print(json.dumps(result.as_dict()) if asked.json else in_words(result), flush=True)
    return int(asked.check and bool(result.missed()))


def in_words(result: Result) -> str:
    rows = [f"\n{result.bench}"]
    for title, values in (("ours", result.figures), ("against", result.limit)):
        rows += [f"  {title:<8} {name:<36} {value:>14,.3f}" for name, value in values.items()]
    for name, value in result.ratios.items():
        least = result.reach.get(name)
        verdict = "" if least is None else f"  (must reach {least:.2f})"
        rows.append(f"  ratio    {name:<36} {value:>14,.3f}{verdict}")
    rows += [f"  MISSED   {words}" for words in result.missed()]
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
