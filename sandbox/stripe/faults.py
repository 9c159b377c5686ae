"""Faults: what goes wrong with the next requests, on demand.

A fault says which requests (`match`: "POST /v1/checkout/*"), how many (`times`, or until removed),
and what happens: `status` (an error answer), `drop` (the connection is cut), `timeout` (silence for
`seconds`, then cut) or `latency` (`seconds` late, then normal). `when` is "before" (nothing was
done) or "after" (it was done and only the answer is lost).
"""

import fnmatch
from dataclasses import dataclass
from typing import Any

from sandbox.stripe.errors import StripeError, Unsaved, key_in_use
from sandbox.stripe.store import Store

KINDS = ("status", "drop", "timeout", "latency")


@dataclass(frozen=True)
class Fault:
    kind: str
    when: str = "before"
    status: int = 500
    seconds: float = 0.0


def take(store: Store, method: str, path: str) -> Fault | None:
    """The fault that hits this request, counted down; the oldest one that matches."""
    faults: list[dict[str, Any]] = store.meta("faults", [])
    for fault in faults:
        if not fnmatch.fnmatch(f"{method} {path}", fault.get("match", "*")):
            continue
        if fault.get("times") is not None:
            fault["times"] -= 1
        store.set_meta("faults", [left for left in faults if left.get("times") != 0])
        known = {k: fault[k] for k in ("kind", "when", "status", "seconds") if k in fault}
        return Fault(**known)
    return None


def check(fault: dict[str, Any]) -> str | None:
    """What is wrong with a fault somebody wants to set."""
    if fault.get("kind") not in KINDS:
        return f"kind must be one of {', '.join(KINDS)}"
    if fault.get("when", "before") not in ("before", "after"):
        return "when must be before or after"
    unknown = set(fault) - {"kind", "when", "status", "seconds", "match", "times"}
    return f"unknown: {', '.join(sorted(unknown))}" if unknown else None


def error(status: int) -> StripeError:
    """The error object that Stripe sends with that status."""
    if status == 409:
        return key_in_use()
    if status == 429:
        return Unsaved(
            "Too many requests hit the API too quickly. We recommend an exponential backoff of "
            "your requests.",
            status=429, code="rate_limit",
        )  # fmt: skip
    if status == 401:
        return Unsaved("Invalid API Key provided.", status=401)
    message = "An unknown error occurred." if status < 500 else "Something went wrong on our side."
    return StripeError(message, status=status, kind="api_error")
