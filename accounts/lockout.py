"""Failed logins: who waits, and for how long. django-axes keeps the counts in PostgreSQL.

Two counts, each over the failures of the last AXES_COOLOFF_TIME hours. One e-mail address from one
network address: 5 failures, then a wait that doubles with every further one, from one minute to
half an hour. One network address over all e-mail addresses: 20, because an office shares one.
Guessing one e-mail address from many networks is slowed by allauth's limit in Valkey
(settings.ACCOUNT_RATE_LIMITS, per address), which no stranger can turn into a long lock-out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.db.models import Max, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from saas.wording import duration

PER_NETWORK = 4  # a network address may fail so many times as often as a pair
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=30)


def wait(failures: int, limit: int) -> timedelta:
    """Return how long to wait after `failures`, from the last of them. None below `limit`."""
    if failures < limit:
        return timedelta(0)
    doublings: int = min(failures - limit, 10)
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << doublings))


class Handler(AxesDatabaseHandler):  # type: ignore[misc]
    """Axes' own, with the waits above, and two limits instead of one."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        return self.locked_until(request, credentials) > timezone.now()

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Failures of the pair, or of the network address on the pair's scale: the worse."""
        network, pair = self._counts(request, credentials)
        return max(network[0] // PER_NETWORK, pair[0])

    def locked_until(
        self, request: HttpRequest, credentials: dict[str, Any] | None = None
    ) -> datetime:
        limit = settings.AXES_FAILURE_LIMIT
        network, pair = self._counts(request, credentials)
        ends = [
            last + wait(failures, limit * scale)
            for (failures, last), scale in ((network, PER_NETWORK), (pair, 1))
            if failures >= limit * scale and last
        ]
        return max(ends, default=timezone.now())

    def reset_user_attempts(
        self, request: HttpRequest, credentials: dict[str, Any] | None = None
    ) -> int:
        """Forget the pair's failures alone: one's own login must not clear a network's guesses."""
        _, pair = self.filter_user_attempts(request, credentials)
        return int(pair.delete()[0])

    def _counts(
        self, request: HttpRequest, credentials: dict[str, Any] | None
    ) -> tuple[tuple[int, datetime | None], ...]:
        # In the order of settings.AXES_LOCKOUT_PARAMETERS.
        return tuple(_count(rows) for rows in self.get_user_attempts(request, credentials))


def _count(attempts: QuerySet[Any]) -> tuple[int, datetime | None]:
    found = attempts.aggregate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
    return found["failures"] or 0, found["last"]


def username(request: HttpRequest, credentials: dict[str, Any] | None) -> str | None:
    """Return the e-mail address that a login names, in one spelling (AXES_USERNAME_CALLABLE)."""
    given = credentials or {}
    name = given.get("email") or given.get("username") or given.get("login")
    if not name and request is not None:
        name = request.POST.get("login")
    return name.strip().lower()[:255] if name else None


def address(request: HttpRequest) -> str | None:
    """Return the client's address; saas.proxies has put the right one there."""
    return request.META.get("REMOTE_ADDR")


def respond(
    request: HttpRequest,
    response: HttpResponse | None = None,  # noqa: ARG001
    credentials: dict[str, Any] | None = None,
) -> HttpResponse:
    """Answer 429 with the time to wait (AXES_LOCKOUT_CALLABLE)."""
    left = Handler().locked_until(request, credentials) - timezone.now()
    return too_many(request, seconds=max(1, round(left.total_seconds())))


def too_many(request: HttpRequest, *, seconds: int = 60) -> HttpResponse:
    """The page for someone who tried too often; says when to try again."""
    context = {"wait": f"in {duration(seconds)}"}
    page = render(request, "429.html", context, status=429)
    page["Retry-After"] = str(seconds)
    return page
