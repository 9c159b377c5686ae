"""What several tests of accounts do: read the outbox, follow links, count rows."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from accounts.models import Mail


def mails_to(address: str) -> list[Mail]:
    return list(Mail.objects.filter(to=address).order_by("pk"))


def link_in(mail: Mail) -> str:
    """The path of the first link in the mail's text."""
    found = re.search(r"https?://\S+", mail.text.reveal())
    assert found, mail.text.reveal()
    return urlsplit(found[0]).path


def log_in(client: Any, email: str, password: str, **extra: Any) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password}, **extra)
