"""The tree of errors: each class says what the caller should do about it.

Vendors' errors are translated into these where the vendor is called, so no caller knows a vendor's
exceptions.
"""

from __future__ import annotations


class HarborError(Exception):
    """Root of every error that Harbor raises on purpose."""


class Retryable(HarborError):
    """A passing fault of `service`: the same call may succeed after `after` seconds."""

    def __init__(self, service: str, *, after: float = 0.0, detail: str = "") -> None:
        super().__init__(f"{service}: {detail or 'passing fault'} (again in {after:.0f} s)")
        self.service = service
        self.after = after
        self.detail = detail


class Refused(HarborError):
    """A final no. `code` is for programs, `message` is a sentence for the person who asked."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Misconfigured(HarborError):
    """The installation is set up wrongly; the message says what the operator should do."""


class Bug(HarborError):
    """A rule of the code base was broken by the code base."""
