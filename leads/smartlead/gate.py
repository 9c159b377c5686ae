"""The gate before every call to SmartLead: the brand's limit, the global ceiling, two breakers.

The brand's breaker protects its own work, the provider's stops everybody when SmartLead is down.
All state is in Valkey and shared by all workers. `enter` never blocks: it gives a Pass or a Wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from leads.models import Connection
from leads.smartlead import client
from leads.smartlead.errors import LONGEST_WAIT, BadKey, Missing, Pushback, Unwanted
from saas import ratelimit
from saas.breaker import Breaker
from saas.errors import Refused, Retryable
from saas.http import Answer
from saas.ratelimit import Limit, Permit, Wait

PROVIDER = CEILING_KEY = "smartlead"
LONGEST_CALL = client.DEADLINE + client.TIMEOUT  # the last read may begin at the deadline
MANY = 3  # accounts whose faults together say that SmartLead itself is down
PATIENCE = 4.0  # seconds a person waits for a permit before we say "try again"

Fetch = Callable[[], tuple[Any, Answer]]


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave for one call. `go` uses it; otherwise `unused` must give it back."""

    gate: Gate
    permits: tuple[Permit, ...]

    def go(self, fetch: Fetch) -> Any:
        """Make the call, report how it went, return its decoded body. Raises what `fetch` does."""
        try:
            body, answer = fetch()
        except (BadKey, Missing, Unwanted):
            self.gate.alive()
            raise
        except Pushback as e:
            self.gate.pushed_back(e.after)
            raise
        except Retryable:
            self.gate.faulty()
            raise
        else:
            self.gate.alive()
            self.gate.heed(answer)
            return body
        finally:
            for permit in self.permits:
                ratelimit.release(permit)

    def unused(self) -> None:
        """Give the leave back; no call was made."""
        for permit in self.permits:
            ratelimit.release(permit, used=False)


class Gate:
    """The gate of one SmartLead account, with a `limit`.

    `account` names the account: brands that share one share its window and its breaker. Without it
    the brand stands for its account.
    """

    def __init__(self, brand_id: int, limit: Limit, *, account: str = "") -> None:
        self.key = f"smartlead:account:{account}" if account else f"smartlead:brand:{brand_id}"
        self.limit = limit
        self.brand = Breaker(self.key)
        self.provider = Breaker(PROVIDER, sources=MANY)

    def enter(self, *, hold: float = LONGEST_CALL) -> Pass | Wait:
        """Ask for leave to make one call of at most `hold` seconds."""
        wait = self._open()
        if wait:
            return wait
        permits: list[Permit] = []
        for key, limit in ((self.key, self.limit), (CEILING_KEY, ceiling())):
            if limit is None:
                continue
            answer = ratelimit.acquire(key, limit, hold=hold)
            if isinstance(answer, Wait):
                Pass(self, tuple(permits)).unused()
                return answer
            permits.append(answer)
        leave = Pass(self, tuple(permits))
        # Last, because whoever a breaker admits must report back.
        refused = self.provider.admit() or self.brand.admit()
        if refused:
            leave.unused()
            return refused
        return leave

    def call(self, fetch: Fetch) -> Any:
        """Make one call for a person who waits: up to PATIENCE seconds for a permit.

        Raises Refused("busy", ...) when none came, and a Refused with words for every fault.
        """
        until = time.monotonic() + PATIENCE
        while isinstance(leave := self.enter(), Wait):
            if time.monotonic() + leave.seconds > until:
                raise _busy(leave)
            time.sleep(max(leave.seconds, 0.05))
        try:
            return leave.go(fetch)
        except Pushback as e:
            raise _busy(Wait(e.after, "vendor")) from e
        except Retryable as e:
            raise Refused(
                "unreachable", "We couldn't reach SmartLead. Nothing was changed. Try again soon."
            ) from e

    def alive(self) -> None:
        self.brand.success()
        self.provider.success()

    def faulty(self) -> None:
        self.brand.failure()
        self.provider.failure(self.key)

    def pushed_back(self, after: float) -> None:
        """Heed a 429: nobody calls for this brand before `after` seconds. SmartLead is alive."""
        self.alive()
        ratelimit.tighten(self.key, block=min(after, LONGEST_WAIT))

    def heed(self, answer: Answer) -> None:
        """Heed `x-ratelimit-limit` when SmartLead allows less in a minute than we do."""
        told = answer.headers.get("x-ratelimit-limit", "")
        if told.isascii() and told.isdigit() and 0 < int(told) < self.limit.calls:
            ratelimit.tighten(self.key, calls=int(told), seconds=LONGEST_WAIT)

    def _open(self) -> Wait | None:
        for breaker in (self.provider, self.brand):
            state = breaker.state()
            if state.name == "open":
                return Wait(state.retry_in, "breaker")
        return None


def ceiling() -> Limit | None:
    """Return what all brands together may call, so that one installation is no burden to SmartLead;
    None: whatever their own limits let them.

    Per second: a minute's window would let a few brands use it up for all.
    """
    calls = settings.SMARTLEAD_CALLS_PER_SECOND
    return Limit(calls, 1.0, in_flight=2 * calls) if calls else None


def of(connection: Connection) -> Gate:
    """Return the gate of a connection's account."""
    return Gate(connection.brand_id, connection.limit, account=connection.account)


def account_of(api_key: str) -> str:
    """Name the account of a key, as far as the key tells it: one key is one account.

    Keyed, so that the name says nothing of the key. Two keys of one account are told by people.
    """
    return salted_hmac("leads.smartlead.account", api_key, algorithm="sha256").hexdigest()[:32]


def _busy(wait: Wait) -> Refused:
    seconds = max(1, round(wait.seconds))
    if wait.reason == "breaker":
        return Refused(
            "unreachable", f"SmartLead is not answering now. Try again in {seconds} seconds."
        )
    return Refused(
        "busy", f"Your SmartLead limit is used up for now. Try again in {seconds} seconds."
    )
