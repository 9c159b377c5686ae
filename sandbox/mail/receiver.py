"""The SMTP side: takes every mail for everybody, loopback only, delivers nothing."""

from __future__ import annotations

import asyncio
import socket

from aiosmtpd.smtp import SMTP, Envelope, Session

from sandbox.mail.store import Store

MAX_BYTES = 30_000_000


class _Receiver:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        raw = envelope.original_content or b""
        mail = self._store.add(raw, envelope.mail_from or "", envelope.rcpt_tos)
        return f"250 Kept as {mail.id}"


async def listen(store: Store, sock: socket.socket) -> asyncio.Server:
    """Serves SMTP on a bound socket until the server is closed."""
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            _Receiver(store),
            hostname="sandbox",
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    return await loop.create_server(protocol, sock=sock)
