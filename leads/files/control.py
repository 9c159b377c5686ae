"""What people do with an import: upload, check, start, cancel. Each is claimed by state.

A move that is not possible (any more) is Refused with words. All audit; all but `begin` are safe to
repeat. They open their own scopes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from billing import entitlements
from leads.files import columns, sniff, store
from leads.files.job import CLEAN, DELETED, NO_ROOM, STRIDE
from leads.ingest.rejections import clean
from leads.models import Import, ImportRejection
from saas import audit
from saas.celery import wake
from saas.errors import Refused
from saas.tenancy import scope

LARGEST = 1024**3  # bytes of a file
State = Import.State


def live() -> Import | None:
    """Return the scope's import that has not ended, if any."""
    found: Import | None = Import.objects.filter(state__in=Import.LIVE).first()
    return found


def begin(*, brand_id: int, name: str, actor: User) -> Import:
    """Make the row that the chunks of an upload belong to. Raises Refused beside a live import."""
    with scope(brand_id):
        try:
            with transaction.atomic():
                job: Import = Import.objects.create(name=clean(name)[-255:], requested_by=actor)
        except IntegrityError as e:
            words = "Another file is being imported. Finish or cancel that one first."
            raise Refused("busy", words) from e
        return job


def accept(writer: store.Writer, *, actor: User) -> Import:
    """Read the beginning of a file that came in whole. Raises Refused for what is no CSV."""
    job = writer.job
    start = store.start(job)
    separator = sniff.delimiter(start, writer.encoding)
    table = sniff.table(start, writer.encoding, separator)
    with scope(job.brand_id):
        row = _move(
            job.pk,
            (State.UPLOADING,),
            state=State.MAPPING,
            size=writer.size,
            encoding=writer.encoding,
            delimiter=separator,
            columns=table.columns,
            mapping=columns.guess(table.columns, table.rows),
        )
        audit.record("import.uploaded", row, actor=actor, changes={"bytes": [0, writer.size]})
        return row


def abandon(job: Import) -> None:
    """Forget an upload that broke off or was refused, chunks and all."""
    with scope(job.brand_id):
        Import.objects.filter(pk=job.pk, state=State.UPLOADING).delete()


def check(
    *,
    brand_id: int,
    import_id: int,
    encoding: str,
    delimiter: str,
    mapping: Sequence[str],
    actor: User,
) -> Import:
    """Begin the dry run with these columns. Raises Refused for what can't be."""
    with scope(brand_id):
        job = get(import_id)
    if encoding not in Import.Encoding.values or delimiter not in Import.Delimiter.values:
        raise Refused("other_columns", "Choose one of the encodings and separators.")
    table = sniff.table(store.start(job), encoding, delimiter)
    columns.check(table.columns, mapping)
    with scope(brand_id):
        row = _move(
            import_id,
            Import.WAITING,
            state=State.CHECKING,
            encoding=encoding,
            delimiter=delimiter,
            columns=table.columns,
            mapping=list(mapping),
            rows=0,
            new=0,
            known=0,
            bad=0,
            deleted=0,
            **_from_the_start(),
        )
        audit.record("import.check_started", row, actor=actor)
        wake(STRIDE, brand_id, import_id)
        return row


def start(*, brand_id: int, import_id: int, actor: User) -> Import:
    """Begin the import that was checked. Raises Refused while the brand may take in no lead."""
    with scope(brand_id):
        refusal = entitlements.of(brand_id).refusal
        if refusal:
            raise Refused(refusal, f"{NO_ROOM[refusal]} Open Billing to change that.")
        began = _from_the_start()
        row = _move(
            import_id,
            (State.CHECKED,),
            state=State.RUNNING,
            requested_by=actor,
            started_at=began["pass_at"],
            deleted=0,
            **began,
        )
        ImportRejection.objects.filter(job=row, reason=DELETED).delete()
        audit.record("import.started", row, actor=actor)
        wake(STRIDE, brand_id, import_id)
        return row


def cancel(*, brand_id: int, import_id: int, actor: User | None, reason: str = "") -> Import:
    """End it for good. Leads that are here stay; the file is deleted."""
    with scope(brand_id):
        row = _move(import_id, Import.LIVE, state=State.CANCELLED, ended_at=timezone.now())
        audit.record("import.cancelled", row, actor=actor, reason=reason)
        wake(CLEAN, brand_id, import_id)
        return row


def get(import_id: int) -> Import:
    """Return one of the scope's imports. Raises Refused ("missing")."""
    row: Import | None = Import.objects.filter(pk=import_id).first()
    if row is None:
        raise Refused("missing", "There is no such import.")
    return row


def _from_the_start() -> dict[str, Any]:
    now = timezone.now()
    return {"position": 0, "line": 1, "done": 0, "attempts": 0, "pass_at": now, "touched_at": now}


def _move(import_id: int, sources: Sequence[str], **fields: Any) -> Import:
    won = Import.objects.filter(pk=import_id, state__in=sources).update(**fields)
    row = get(import_id)
    if not won:
        words = f"This import is {row.get_state_display().lower()} now."
        raise Refused("wrong_state", words)
    return row
