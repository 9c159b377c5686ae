"""Fields as they come from outside, into text, numbers and moments that can be stored.

Pure. What can't be taken raises Unfit with its reason. Strings with NUL can't be stored by
PostgreSQL, nor halves of surrogate pairs.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from typing import Any

from leads.ingest.rows import EXCERPT

EMAIL = re.compile(r"[^@\s<>\",;\ufffd]+@[^@\s<>\",;\ufffd]+\.[^@\s<>\",;.\ufffd]+")
LONGEST_EMAIL = 254
LONGEST_TEXT = 2_000
LONGEST_CUSTOM = 65_536
LONGEST_BODY = 1_000_000
BELIEVABLE_YEARS = range(1970, 2200)
BIGINT = 2**63
NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)
STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)  # dumps() makes one for each call


class Unfit(Exception):
    """A row or field that can't be taken: `reason` and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def mapping(raw: Any, what: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Unfit("wrong_type", f"There is something else in place of {what}.")
    return raw


def email(value: Any) -> str:
    if value is None or value == "":
        raise Unfit("no_email", "There is no e-mail address.")
    email = text(value, "email").lower()
    if len(email) > LONGEST_EMAIL or not EMAIL.fullmatch(email):
        raise Unfit("bad_email", "The e-mail address is not one.")
    return email


def address(value: Any) -> str:
    try:
        return text(value, "address")[:320]
    except Unfit:
        return ""


def label(value: Any, longest: int) -> str:
    """Read a name leniently: a campaign is not lost for a character in its name."""
    text = value.replace("\x00", "") if isinstance(value, str) else ""
    return text.encode("utf-8", "ignore").decode()[:longest].strip()


def text(value: Any, field: str, *, longest: int = LONGEST_TEXT, numbers: bool = False) -> str:
    if type(value) is str and len(value) <= longest and value.isascii() and "\x00" not in value:
        return value.strip()  # nearly every one
    if value is None:
        return ""
    if numbers and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Unfit("wrong_type", f"{field} is not text.")
    if len(value) > longest:
        raise Unfit("too_large", f"{field} has {len(value)} characters, more than {longest}.")
    storable(value, field)
    return value.strip()


def storable(value: str, field: str) -> None:
    if "\x00" in value:
        raise Unfit("nul", f"{field} holds a NUL character.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as e:
            raise Unfit("bad_text", f"{field} holds half of a character.") from e


def custom_text(text: str) -> str:
    """Take own fields that come as JSON text; what isn't any is no field."""
    if len(text) > LONGEST_CUSTOM:
        raise Unfit("too_large", f"custom_fields has {len(text)} characters.")
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_number) if text else None
    except (ValueError, RecursionError):
        return "{}"
    if not isinstance(value, dict):
        return "{}"
    if "\\u" in text:  # written out, so that halves of characters show
        return custom(value)
    storable(text, "custom_fields")
    return text


def _no_number(name: str) -> Any:
    raise ValueError(name)  # NaN and the infinities are no JSON to PostgreSQL


def _number(text: str) -> float:
    """A number that Python can't hold is too large for PostgreSQL too."""
    value = float(text)
    return _no_number(text) if math.isinf(value) else value


def custom(value: Any) -> str:
    if value in (None, "", []):
        return "{}"
    if not isinstance(value, dict):
        raise Unfit("wrong_type", "custom_fields is not a set of fields.")
    try:
        text = STRICT.encode(value)
    except (ValueError, RecursionError) as e:
        raise Unfit("bad_number", "custom_fields holds what is no number.") from e
    if len(text) > LONGEST_CUSTOM:
        raise Unfit("too_large", f"custom_fields has {len(text)} characters.")
    if "\\u0000" in text:
        raise Unfit("nul", "custom_fields holds a NUL character.")
    storable(text, "custom_fields")
    return text


def identifier(value: Any, field: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < BIGINT:
        raise Unfit("wrong_type", f"{field} is not an id.")
    return value


def count(value: Any, most: int = 2**31 - 1) -> int:
    """Read a count as leniently as it matters: anything else is 0."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    return min(value, most) if isinstance(value, int) and value > 0 else 0


def total(value: Any) -> int | None:
    """Read `total_leads`, a string in life. None when it can't be read."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and 0 <= value < BIGINT else None


def joined(value: Any) -> datetime:
    """Read when a lead joined; one that can't be read costs its date and not the lead."""
    return moment_or_none(value) or NO_DATE


def moment(value: Any, field: str) -> datetime:
    if not isinstance(value, str):
        raise Unfit("bad_time", f"{field} is not a time.")
    try:
        found = datetime.fromisoformat(value.strip())
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as e:
        raise Unfit("bad_time", f"{field} is not a time.") from e
    if found.year not in BELIEVABLE_YEARS:  # the calendar's ends have no local time to show
        raise Unfit("bad_time", f"{field} is not a time.")
    return found


def moment_or_none(value: Any) -> datetime | None:
    try:
        return moment(value, "created_at")
    except Unfit:
        return None


def excerpt(raw: Any) -> str:
    """Return the start of the row as it came, without building all of a huge one twice."""
    try:
        return json.dumps(raw, ensure_ascii=False)[:EXCERPT]
    except (ValueError, RecursionError):
        return repr(type(raw))
