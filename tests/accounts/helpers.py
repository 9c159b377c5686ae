"""What several tests of accounts do: read the outbox, follow links, act at once."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, connection

from accounts.models import Mail
from saas.errors import Refused


def mails_to(address: str) -> list[Mail]:
    return list(Mail.objects.filter(to=address).order_by("pk"))


def link_in(mail: Mail) -> str:
    """The path of the first link in the mail's text."""
    found = re.search(r"https?://\S+", mail.text.reveal())
    assert found, mail.text.reveal()
    return urlsplit(found[0]).path


def log_in(client: Any, email: str, password: str, **extra: Any) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password}, **extra)


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Run all of `work` at the same moment; a result each, or the class of what was refused."""
    barrier = threading.Barrier(len(work))

    def run(one: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return one()
        except (IntegrityError, Refused) as e:
            return type(e)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(work)) as threads:
        return list(threads.map(run, work))
