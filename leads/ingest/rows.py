"""What the ingest takes: clean, typed rows, and the rows that could not become such."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

EXCERPT = 2000  # characters of a rejected row that are kept
Direction = Literal["sent", "reply"]


@dataclass(frozen=True, slots=True)
class LeadRow:
    """A lead in a campaign. Text holds no NUL; `email` is lower case; `custom` is JSON text.

    `replied` and `opened` say that the source knows of a reply or an opened mail; False says
    nothing.
    """

    email: str
    joined_at: datetime
    remote_lead_id: int | None = None
    map_id: int | None = None
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    phone: str = ""
    website: str = ""
    location: str = ""
    linkedin: str = ""
    company_url: str = ""
    custom: str = "{}"
    unsubscribed: bool = False
    status: str = ""
    category: int | None = None
    replied: bool = False
    opened: bool = False


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A mail of a thread. `key` tells it from every other of the same lead and campaign."""

    key: str
    direction: Direction
    sent_at: datetime
    sender: str = ""
    recipient: str = ""
    subject: str = ""
    body: str = ""
    step: int | None = None
    opens: int = 0
    clicks: int = 0


@dataclass(frozen=True, slots=True)
class Thread:
    """All messages of a lead in a campaign that one answer held; may be none."""

    lead_id: int
    messages: tuple[MessageRow, ...]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was refused. `reason` is a code, `detail` a sentence, `raw` what came."""

    reason: str
    detail: str
    raw: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What a batch did. `refusal` says why some new leads were left out (billing's code)."""

    seen: int = 0
    new: int = 0
    changed: int = 0
    refused: int = 0
    refusal: str | None = None

    def __add__(self, other: Merged) -> Merged:
        return Merged(
            self.seen + other.seen,
            self.new + other.new,
            self.changed + other.changed,
            self.refused + other.refused,
            self.refusal or other.refusal,
        )


@dataclass(frozen=True, slots=True)
class Parsed:
    """One page of leads, parsed. `total` is what SmartLead says of the whole campaign."""

    rows: list[LeadRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    total: int | None = None
