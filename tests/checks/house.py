"""The rules of the house that no other tool knows: sizes, and a strict CSP's templates."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from tests.checks.__main__ import BASE, tracked

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
INLINE = re.compile(
    r"<style\b|\sstyle\s*=|\son[a-z]+\s*=\s*[\"']|javascript:|<script(?![^>]*\bsrc=)"
)
DATA_SCRIPT = re.compile(r"<script[^>]*type=\"application/(ld\+)?json\"")
# Mail programs know no style sheets.
MAILS = re.compile(r"(^|/)(email|emails|mail|mails)/|_message\.html$")
GENERATED = re.compile(r"(^|/)migrations/|^vendor_migrations/")


def python_faults(path: str, text: str) -> Iterator[str]:
    limit = LONGEST_FILE * 2 if path.startswith("tests/") else LONGEST_FILE
    lines = text.count("\n")
    if lines > limit:
        yield f"{path}: {lines} lines, at most {limit}"
    if path.startswith("tests/"):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines"
        if isinstance(node, ast.Assert) and not path.startswith("sandbox/"):
            yield f"{path}:{node.lineno}: an assert is not a check outside the tests"


def template_faults(path: str, text: str) -> Iterator[str]:
    if MAILS.search(path):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if INLINE.search(line) and not DATA_SCRIPT.search(line):
            yield f"{path}:{number}: inline script or style, which the CSP forbids"


def faults() -> Iterator[str]:
    for path in tracked():
        if GENERATED.search(path) or path.startswith("static/"):
            continue
        if path.endswith(".py"):
            yield from python_faults(path, (BASE / path).read_text())
        elif path.endswith(".html") and not path.startswith(("tests/", "sandbox/")):
            yield from template_faults(path, (BASE / path).read_text())


def main() -> int:
    found = list(faults())
    print("\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
