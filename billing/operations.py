"""Writes at Stripe, exactly once: intent, call, outcome; a sweep resumes what stopped between.

1. `begin` commits a row with the parameters; its id is the idempotency key.
2. `execute` leases the row, notes when the key was first sent, calls outside of any transaction.
3. The outcome and its effect on our rows commit together, if the lease is still ours.

Dying anywhere leaves a pending row. Sending it again with the same key gives the first answer
(Stripe keeps keys for at least 24 hours). A key that is older, or that Stripe burnt with a failure,
is never sent again: the kind's `look` asks Stripe whether the effect is there, and only its absence
lets the operation go on with a new key.

A fault that passes (`gateway.PASSING`) never ends an operation: it is tried again, at least every
LONGEST_WAIT, for as long as the fault lasts. Any other is given up after MOST_ATTEMPTS, and waits
for a person.

Wishes that contradict each other stand in one line (`Kind.line`): the newest is the last word. It
replaces those before it, and waits for one that is at Stripe at this moment, so that the last word
is also the last to arrive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import models
from django.utils import timezone

from billing import gateway
from billing.models import StripeOperation
from saas.celery import wake
from saas.errors import Bug, Misconfigured, Refused, Retryable
from saas.leases import LeaseLost, claim, free, hold
from saas.tenancy import everyone, scope

log = structlog.get_logger(__name__)

LEASE = 60.0  # longer than the gateway's time-outs together
KEY_LIFE = timedelta(hours=23)
MOST_ATTEMPTS = 15
LONGEST_WAIT = 3600.0  # seconds
PATIENCE = 8.0  # seconds that `run` waits for another process on the same operation
MISCONFIGURED = "misconfigured"
State = StripeOperation.State
Effect = Callable[[StripeOperation, gateway.Object], None]


@dataclass(frozen=True)
class Kind:
    """How one kind of operation is sent, found again and applied.

    `is_over`, asked before each sending and outside of any scope, tells whether it would come too
    late by now: then it is looked for, and refused as "too_late" when it isn't there. It may raise
    Retryable to let it wait.

    `path` is formatted with the parameters whose names start with an underscore; the others go to
    Stripe. `look` returns the effect if Stripe has it already. `effect` runs in the transaction of
    a success, `refusal` in that of a failure. `is_there` knows a refusal that says that Stripe has
    the effect already, which is a success. `tagged`: the object's metadata gets the operation's
    id, for `look`. `give_up_when_stale`: a wish too old to fulfil unasked (a person has gone away).
    `line`: the parameter whose operations replace each other (module docstring). `follows`: kinds
    whose pending operations of the same `_subscription` come first, whichever was begun earlier.
    """

    name: str
    path: str
    look: Callable[[StripeOperation], gateway.Object | None]
    effect: Effect | None = None
    refusal: Callable[[StripeOperation], None] | None = None
    is_there: Callable[[Refused], bool] | None = None
    is_over: Callable[[StripeOperation], bool] | None = None
    method: gateway.Method = "post"
    tagged: bool = False
    give_up_when_stale: bool = False
    line: str = ""
    follows: tuple[str, ...] = ()


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Make a kind known; each is registered once, by the module that owns it."""
    if _kinds.setdefault(kind.name, kind) is not kind:
        raise Bug(f"operation kind {kind.name} registered twice")
    return kind


def kinds() -> Mapping[str, Kind]:
    return _kinds


def begin(kind: Kind, *, subject: str, params: Mapping[str, Any]) -> StripeOperation:
    """Write the intent, in the caller's scope; the pending one of this subject is returned again.

    The caller holds the lock of the account (so that two can't begin at once; a constraint stands
    behind it), commits, then calls `run`. If it dies before, the sweep runs it.
    """
    waiting = StripeOperation.objects.filter(kind=kind.name, subject=subject, state=State.PENDING)
    operation: StripeOperation | None = waiting.first()
    if operation is None:
        operation = StripeOperation(kind=kind.name, subject=subject, params=dict(params))
        if kind.tagged:
            metadata = {**params.get("metadata", {}), "operation": str(operation.pk)}
            operation.params["metadata"] = metadata
        operation.save(force_insert=True)
        if kind.line:
            operation.refresh_from_db(fields=["created_at"])
            _overtake(operation)
    wake("billing.operations.run", str(operation.pk), after=30)
    return operation


def begin_once(kind: Kind, *, subject: str, params: Mapping[str, Any]) -> StripeOperation:
    """Like `begin`, but one that ended is returned too: for what is wanted once and for all."""
    ended = StripeOperation.objects.filter(kind=kind.name, subject=subject).first()
    return ended or begin(kind, subject=subject, params=params)


def soon(operation: StripeOperation) -> None:
    """Let a worker run an operation for which nobody waits, right after the commit."""
    wake("billing.operations.run", str(operation.pk))


def run(operation: StripeOperation) -> gateway.Object:
    """Bring a committed operation to its end and return Stripe's object; safe to repeat.

    Raises Refused for Stripe's final no; Retryable, or Misconfigured for a key that Stripe refuses,
    when the sweep will go on later. Waits up to PATIENCE seconds when another process is at it.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        ended = execute(operation)
        if ended.state == State.DONE:
            return dict(ended.result or {})
        if ended.state in (State.FAILED, State.STUCK):
            raise Refused(ended.error_code or "stuck", ended.last_error or "Stripe said no.")
        if ended.lease_until is None and ended.error_code == MISCONFIGURED:
            raise Misconfigured(ended.last_error)
        # A row that is free and due is being claimed by somebody in this moment: not a failure.
        postponed = ended.lease_until is None and ended.next_attempt_at > timezone.now()
        if postponed or time.monotonic() > deadline:
            after = max((ended.next_attempt_at - timezone.now()).total_seconds(), 1.0)
            raise Retryable("stripe", after=after, detail=ended.last_error)
        time.sleep(0.1)


def execute(operation: StripeOperation) -> StripeOperation:
    """Make one attempt if the operation is pending and nobody else is at it; return the row."""
    claimed = _claim(operation)
    if claimed is None:
        return _reread(operation)
    try:
        return _attempt(claimed)
    except LeaseLost:
        log.warning("stripe.lease_lost", operation=str(claimed.pk), kind=claimed.kind)
        return _reread(operation)


def _attempt(claimed: StripeOperation) -> StripeOperation:
    try:
        result = _send(claimed)
    except Refused as e:
        is_there = _kinds[claimed.kind].is_there
        if is_there and is_there(e):
            return _finish(claimed, state=State.DONE, result={}, error_code="", last_error="")
        log.warning("stripe.refused", operation=str(claimed.pk), kind=claimed.kind, code=e.code)
        return _finish(claimed, state=State.FAILED, error_code=e.code[:100], last_error=e.message)
    except (Retryable, Misconfigured) as e:
        return _postpone(claimed, e)
    return _finish(claimed, state=State.DONE, result=result, error_code="", last_error="")


def _reread(operation: StripeOperation) -> StripeOperation:
    with _sight(operation):
        row: StripeOperation = StripeOperation.objects.get(pk=operation.pk)
        return row


def _claim(operation: StripeOperation) -> StripeOperation | None:
    with _sight(operation):
        rows = StripeOperation.objects.filter(pk=operation.pk, state=State.PENDING)
        if _overtake(operation) or ahead(operation).exists():
            return None
        claimed = claim(rows, seconds=LEASE)
        if not claimed:
            return None
        row: StripeOperation = claimed[0]
        if row.keyed_at is None and not _stale(row, timezone.now()):
            row.keyed_at = timezone.now()
            row.save(update_fields=["keyed_at"])
        return row


def in_line(kind: Kind, value: str) -> models.QuerySet[StripeOperation]:
    """Return the operations of one line of the scope, the newest first."""
    rows = StripeOperation.objects.filter(kind=kind.name, **{f"params__{kind.line}": value})
    return rows.order_by("-created_at", "-pk")


def ahead(operation: StripeOperation) -> models.QuerySet[StripeOperation]:
    """Return the pending operations that one of the scope must follow (`Kind.follows`)."""
    kinds, stripe_id = _kinds[operation.kind].follows, operation.params.get("_subscription")
    rows = StripeOperation.objects.filter(kind__in=kinds, state=State.PENDING)
    return rows.filter(params___subscription=stripe_id).order_by("created_at", "pk")


def _overtake(operation: StripeOperation) -> bool:
    """Drop what stands before the operation in its line; tell whether one of it is at Stripe.

    Locks what it drops; one that is being claimed is passed over, and counts as being at Stripe.
    """
    kind = _kinds[operation.kind]
    if not kind.line:
        return False
    before = in_line(kind, operation.params[kind.line]).filter(created_at__lt=operation.created_at)
    waiting = before.filter(free(), state__in=(State.PENDING, State.STUCK))
    waiting = waiting.select_for_update(skip_locked=True, no_key=True, of=("self",))
    StripeOperation.objects.filter(pk__in=[row.pk for row in waiting]).update(
        state=State.FAILED,
        lease_until=None,
        lease_token=None,  # a holder that is late finds its lease lost
        finished_at=timezone.now(),
        error_code="superseded",
        last_error="A later choice took the place of this one.",
    )
    return bool(before.filter(state=State.PENDING).exists())


def _send(row: StripeOperation) -> gateway.Object:
    kind = _kinds[row.kind]
    if kind.is_over and kind.is_over(row):
        return _look_once_more(kind, row)
    repeated = row.attempts > 1 and kind.method == "delete"  # Stripe ignores keys on DELETE
    if repeated or _stale(row, timezone.now()):
        return _look_then_send(kind, row)
    try:
        return _post(kind, row)
    except gateway.Replayed:
        return _look_then_send(kind, row)


def _look_once_more(kind: Kind, row: StripeOperation) -> gateway.Object:
    found = kind.look(row)
    if found is None:
        raise Refused("too_late", "This did not arrive in time.")
    return found


def _stale(row: StripeOperation, now: datetime) -> bool:
    return now - (row.keyed_at or row.created_at) > KEY_LIFE


def _look_then_send(kind: Kind, row: StripeOperation) -> gateway.Object:
    """The key can't be trusted any more: find the effect, or prove its absence and take a new."""
    found = kind.look(row)
    if found is not None:
        return found
    if kind.give_up_when_stale and _stale(row, timezone.now()):
        raise Refused("too_late", "This was asked too long ago to be done now.")
    with _sight(row):
        hold(row)
        row.generation, row.keyed_at = row.generation + 1, timezone.now()
        row.save(update_fields=["generation", "keyed_at"])
    return _post(kind, row)


def _post(kind: Kind, row: StripeOperation) -> gateway.Object:
    named = {name: value for name, value in row.params.items() if name.startswith("_")}
    sent = {name: value for name, value in row.params.items() if not name.startswith("_")}
    return gateway.write(kind.method, kind.path.format(**named), sent, key=row.key)


def _finish(row: StripeOperation, **fields: Any) -> StripeOperation:
    kind = _kinds[row.kind]
    with _sight(row):
        fresh: StripeOperation = hold(row)
        fresh.lease_until = fresh.lease_token = None
        fresh.finished_at = timezone.now()
        for name, value in fields.items():
            setattr(fresh, name, value)
        fresh.save()
        if fresh.state == State.DONE and kind.effect:
            kind.effect(fresh, dict(fresh.result or {}))
        if fresh.state == State.FAILED and kind.refusal:
            kind.refusal(fresh)
        return fresh


def _postpone(row: StripeOperation, error: Retryable | Misconfigured) -> StripeOperation:
    asked = error.after if isinstance(error, Retryable) else 300.0
    wait = timedelta(seconds=max(asked, min(2.0 ** min(row.attempts, 12), LONGEST_WAIT)))
    stuck = row.attempts >= MOST_ATTEMPTS and not isinstance(error, gateway.PASSING)
    with _sight(row):
        fresh: StripeOperation = hold(row)
        fresh.lease_until = fresh.lease_token = None
        fresh.last_error = str(error)
        fresh.error_code = MISCONFIGURED if isinstance(error, Misconfigured) else ""
        fresh.next_attempt_at = timezone.now() + wait
        fresh.state = State.STUCK if stuck else State.PENDING
        fresh.save()
    log.warning("stripe.postponed", operation=str(row.pk), kind=row.kind, stuck=stuck)
    return fresh


def due(limit: int = 100) -> list[StripeOperation]:
    """Return pending operations whose time has come; for the sweep."""
    now = timezone.now()
    with everyone("due Stripe operations"):
        rows = StripeOperation.objects.filter(state=State.PENDING, next_attempt_at__lte=now)
        return list(rows.order_by("next_attempt_at")[:limit])


def retry(operation: StripeOperation) -> None:
    """Let a stuck operation go on (staff, in the admin); its age still guards its key."""
    StripeOperation.objects.filter(pk=operation.pk, state=State.STUCK).update(
        state=State.PENDING, attempts=1, next_attempt_at=timezone.now()
    )
    wake("billing.operations.run", str(operation.pk))


def _sight(row: StripeOperation) -> AbstractContextManager[None]:
    return scope(row.brand_id) if row.brand_id else everyone("Stripe operation of the catalog")
