"""A record of a file into a lead, or the reason why not. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from leads.files.columns import CUSTOM, OWN, PERSON, UNSUBSCRIBED, own_names
from leads.ingest.csvtext import Record, unsafe
from leads.ingest.fields import LONGEST_CUSTOM, LONGEST_TEXT, Unfit
from leads.ingest.fields import email as address
from leads.ingest.rows import LeadRow

WORDS = {"yes": True, "true": True, "1": True, "y": True, "no": False, "false": False, "0": False,
         "n": False, "": False}  # fmt: skip


class Reader:
    """Turns records of one file into leads that joined at `joined_at`."""

    def __init__(self, columns: Sequence[str], mapping: Sequence[str], joined_at: datetime) -> None:
        self._joined_at = joined_at
        self._width = len(columns)
        self._columns = list(zip(own_names(columns), mapping, strict=True))

    def read(self, record: Record) -> LeadRow:
        """Return the lead. Raises Unfit with a sentence for whoever mends the file."""
        if record.fault:
            raise Unfit("unreadable", record.fault)
        cells = record.fields
        if any(cells[self._width :]) or len(cells) < self._width:
            words = f"The row has {len(cells)} cells, and the first line names {self._width}."
            raise Unfit("ragged", words)
        person: dict[str, Any] = {}
        own: dict[str, object] = {}
        unsubscribed = False
        for (name, field), cell in zip(self._columns, cells, strict=False):
            if not field or not cell:
                continue
            text = _text(cell, name)
            if field in PERSON:
                person[field] = _short(text, name)
            elif field == OWN:
                own |= {name: text} if text else {}
            elif field == CUSTOM:
                own = _custom(text) | own
            elif field == UNSUBSCRIBED:
                unsubscribed = _yes(text, name)
        return LeadRow(
            email=address(person.pop("email", "")),
            joined_at=self._joined_at,
            custom=_packed(own),
            unsubscribed=unsubscribed,
            **person,
        )


def _text(cell: str, name: str) -> str:
    """Return the cell without its spaces and the apostrophe of `csvtext.safe`; storable."""
    if "\x00" in cell:
        raise Unfit("nul", f"{name} holds a NUL character.")
    return unsafe(cell).strip()


def _short(text: str, name: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise Unfit("too_long", f"{name} has {len(text)} characters, more than {LONGEST_TEXT}.")
    return text


def _yes(text: str, name: str) -> bool:
    try:
        return WORDS[text.lower()]
    except KeyError:
        raise Unfit("not_yes_or_no", f"{name} is neither yes nor no.") from None


def _custom(text: str) -> dict[str, object]:
    if not text:
        return {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Unfit("bad_custom", "Custom fields is not a set of fields in JSON.")
    return fields


def _packed(own: dict[str, object]) -> str:
    if not own:
        return "{}"
    try:
        text = json.dumps(own, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError) as e:
        raise Unfit("bad_custom", "One of the own fields can't be stored.") from e
    if len(text) > LONGEST_CUSTOM:
        raise Unfit("too_long", f"The own fields have {len(text)} characters together.")
    if "\\u0000" in text:
        raise Unfit("nul", "One of the own fields holds a NUL character.")
    return text
