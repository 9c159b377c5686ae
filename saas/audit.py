"""The journal of decisions: who did what, to what, why and from where (ADR 2).

Rows are auditlog LogEntry rows, append-only by trigger. A service calls `record` in the
transaction of the change, so that neither exists without the other.
"""

from __future__ import annotations

from typing import Any

from auditlog.models import LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.contenttypes.models import ContentType
from django.db import models

from saas import context


def record(
    action: str,
    target: models.Model,
    *,
    actor: AbstractBaseUser | None,
    reason: str = "",
    changes: dict[str, Any] | None = None,
) -> None:
    """Append one decision, e.g. `record("connection.created", connection, actor=user)`.

    `actor` None means the system itself. `changes` maps a field to [old, new] and never holds a
    secret. Brand, request id and address come from the context.
    """
    brand_id = getattr(target, "brand_id", None) or context.get("brand_id")
    key = target.pk
    LogEntry.objects.create(
        content_type=ContentType.objects.get_for_model(target),
        object_pk=str(key),
        object_id=key if isinstance(key, int) else None,
        object_repr=str(target)[:200],
        action=LogEntry.Action.UPDATE,
        changes=changes or {},
        actor_id=actor.pk if actor else None,
        actor_email=getattr(actor, "email", None),
        remote_addr=context.get("ip"),
        cid=context.get("request_id") or context.get("task_id"),
        additional_data={"event": action, "reason": reason, "brand": brand_id},
    )
