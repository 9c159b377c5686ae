"""Mails as they came, one file each, newest first. Survives a restart; the files are plain .eml."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.utils import getaddresses
from pathlib import Path
from typing import Any

_NAME = re.compile(r"(\d{8})-(\d{13})\.eml")
_RECIPIENT = "X-Sandbox-Recipient"
_SENDER = "X-Sandbox-Sender"


@dataclass(frozen=True, slots=True)
class Mail:
    """One received mail. `recipients` are those of the envelope, so blind copies too."""

    id: int
    received: datetime
    sender: str
    recipients: tuple[str, ...]
    from_: str
    to: str
    subject: str
    text: str
    html: str

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "received": self.received.isoformat(),
            "sender": self.sender,
            "recipients": list(self.recipients),
            "from": self.from_,
            "to": self.to,
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "links": links(self.text) or links(self.html),
        }


def links(text: str) -> list[str]:
    """The web addresses in a text, in order, without the punctuation that follows them."""
    return [found.rstrip(".,;:!?)]}'\"") for found in re.findall(r"https?://[^\s<>\"]+", text)]


class Store:
    """The mails in a folder. One process writes; ids rise with every mail."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mails: dict[int, Mail] = {}
        for path in sorted(folder.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match:
                received = datetime.fromtimestamp(int(match[2]) / 1000, UTC)
                mail = _parse(int(match[1]), received, path.read_bytes())
                self._mails[mail.id] = mail
        self._next = max(self._mails, default=0) + 1

    def add(self, raw: bytes, sender: str, recipients: Iterable[str]) -> Mail:
        """Keeps a mail; it is on disk when this returns."""
        number, self._next = self._next, self._next + 1
        stamp = time.time_ns() // 1_000_000
        received = datetime.fromtimestamp(stamp / 1000, UTC)
        envelope = "".join(f"{_RECIPIENT}: {address}\r\n" for address in recipients)
        kept = f"{_SENDER}: {sender}\r\n{envelope}".encode() + raw
        mail = _parse(number, received, kept)
        name = f"{number:08d}-{stamp:013d}.eml"
        (self._folder / name).write_bytes(kept)
        self._mails[number] = mail
        return mail

    def get(self, number: int) -> Mail | None:
        return self._mails.get(number)

    def newest(self, *, to: str = "", text: str = "") -> list[Mail]:
        """Newest first; `to` is a whole address, `text` part of a subject, address or body; case is
        ignored.
        """
        wanted, part = to.strip().lower(), text.strip().lower()
        return [mail for mail in reversed(self._mails.values()) if _fits(mail, wanted, part)]

    def clear(self) -> None:
        for path in self._folder.glob("*.eml"):
            path.unlink(missing_ok=True)
        self._mails.clear()


def _fits(mail: Mail, to: str, part: str) -> bool:
    if to and to not in {address.lower() for address in mail.recipients}:
        return False
    return (
        not part
        or part
        in " ".join((mail.subject, mail.to, mail.from_, mail.text, *mail.recipients)).lower()
    )


def _parse(number: int, received: datetime, raw: bytes) -> Mail:
    message = message_from_bytes(raw, policy=policy.default)
    recipients = tuple(
        address for _, address in getaddresses(list(map(str, message.get_all(_RECIPIENT, []))))
    )
    return Mail(
        id=number,
        received=received,
        sender=_header(message, _SENDER),
        recipients=recipients,
        from_=_header(message, "from"),
        to=_header(message, "to"),
        subject=_header(message, "subject"),
        text=_body(message, "plain"),
        html=_body(message, "html"),
    )


def _header(message: Message, name: str) -> str:
    return str(message.get(name, ""))


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    charset = part.get_content_charset() or "utf-8"
    try:
        return raw.decode(charset, "replace").replace("\r\n", "\n")
    except LookupError:  # a charset that Python doesn't know: show what can be shown
        return raw.decode("utf-8", "replace").replace("\r\n", "\n")
