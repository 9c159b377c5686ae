"""What a lead's fields must be, whatever source they come from."""

from __future__ import annotations

import re

EMAIL = re.compile(r"[^@\s<>\",;\ufffd]+@[^@\s<>\",;\ufffd]+\.[^@\s<>\",;.\ufffd]+")
LONGEST_EMAIL = 254
LONGEST_TEXT = 2_000
LONGEST_CUSTOM = 65_536


class Unfit(Exception):
    """A row or field that can't be taken: `reason` and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def address(text: str) -> str:
    """Return the e-mail address in lower case. Raises Unfit."""
    if not text:
        raise Unfit("no_email", "There is no e-mail address.")
    if len(text) > LONGEST_EMAIL or not EMAIL.fullmatch(text):
        raise Unfit("bad_email", "The e-mail address is not one.")
    return text.lower()
