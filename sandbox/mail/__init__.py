"""A mailbox for everything that Harbor sends: an SMTP server, and pages and an API to read what
came.
"""

from __future__ import annotations

from sandbox.mail.app import create_app
from sandbox.mail.receiver import listen
from sandbox.mail.store import Mail, Store

__all__ = ["Mail", "Store", "create_app", "listen"]
