"""What can go wrong at SmartLead, named by what to do about it.

| answer                                   | becomes      | breaker |
|------------------------------------------|--------------|---------|
| 401, or "Invalid API Key" with any 4xx   | BadKey       | alive   |
| 429                                      | Pushback     | alive   |
| 404                                      | Missing      | alive   |
| another 4xx                              | Unwanted     | alive   |
| 200 with an empty body or {}             | Empty        | fault   |
| 5xx, 524, HTML, no JSON, transport fault | Faulty       | fault   |

No text here ever holds a URL: SmartLead's key stands in its query string.
"""

from __future__ import annotations

from saas.errors import Refused, Retryable

SERVICE = "SmartLead"
LONGEST_WAIT = 300.0


class BadKey(Refused):
    def __init__(self) -> None:
        super().__init__(
            "bad_key",
            "SmartLead does not accept this API key. Copy it again from SmartLead under"
            " Settings, API keys.",
        )


class Missing(Refused):
    """SmartLead says that there is no such thing. Never a reason to delete ours."""

    def __init__(self) -> None:
        super().__init__("missing", "SmartLead no longer knows this.")


class Unwanted(Refused):
    """SmartLead's validation refused the call."""

    def __init__(self, status: int) -> None:
        super().__init__("unwanted", f"SmartLead refused the call ({status}).")
        self.status = status


class Pushback(Retryable):
    """Too many calls: `after` seconds by SmartLead's own word, capped at LONGEST_WAIT."""

    def __init__(self, after: float) -> None:
        super().__init__(SERVICE, after=min(after, LONGEST_WAIT), detail="too many calls")


class Faulty(Retryable):
    """A fault of the service. `detail` is a few words for people."""

    def __init__(self, detail: str) -> None:
        super().__init__(SERVICE, after=2.0, detail=detail)


class Empty(Faulty):
    """An answer with nothing in it: a fault, or SmartLead's way to say "no such thing"."""

    def __init__(self) -> None:
        super().__init__("an empty answer")
