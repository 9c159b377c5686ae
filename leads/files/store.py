"""A file's bytes in PostgreSQL, where every web server writes and every worker reads them (ADR 12).

Chunks of CHUNK bytes under row-level security, one short transaction each; nothing ever holds more
than a chunk. All functions open their own scopes.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from leads.files.sniff import Intake
from leads.ingest.staging import run
from leads.models import Import, ImportChunk
from saas.errors import Bug
from saas.tenancy import current_brand, scope

CHUNK = 1024 * 1024

DROP_CHUNKS = """
DELETE FROM leads_importchunk WHERE brand_id = %(brand)s AND job_id = %(job)s AND number IN (
  SELECT number FROM leads_importchunk
  WHERE brand_id = %(brand)s AND job_id = %(job)s ORDER BY number LIMIT 50)"""
DROP_ADDRESSES = """
DELETE FROM leads_importaddress WHERE brand_id = %(brand)s AND job_id = %(job)s AND email IN (
  SELECT email FROM leads_importaddress
  WHERE brand_id = %(brand)s AND job_id = %(job)s ORDER BY email LIMIT 20000)"""
DROP_REJECTIONS = """
DELETE FROM leads_importrejection WHERE brand_id = %(brand)s AND job_id = %(job)s AND line IN (
  SELECT line FROM leads_importrejection
  WHERE brand_id = %(brand)s AND job_id = %(job)s ORDER BY line LIMIT 20000)"""

EVERYTHING = (DROP_CHUNKS, DROP_ADDRESSES, DROP_REJECTIONS)


class Writer:
    """Appends to the file of an upload. `size` and `encoding` are final after `finish`."""

    def __init__(self, job: Import) -> None:
        self.job = job
        self.size = 0
        self._intake = Intake()
        self._buffer = bytearray()
        self._number = 0

    @property
    def encoding(self) -> Import.Encoding:
        return self._intake.encoding

    def write(self, data: bytes) -> None:
        self._buffer += self._intake.feed(data)
        while len(self._buffer) >= CHUNK:
            self._flush()

    def finish(self) -> None:
        self._buffer += self._intake.finish()
        while self._buffer:
            self._flush()

    def _flush(self) -> None:
        data = bytes(self._buffer[:CHUNK])
        with scope(self.job.brand_id):
            ImportChunk.objects.create(job=self.job, number=self._number, data=data)
            Import.objects.filter(pk=self.job.pk).update(touched_at=timezone.now())
        del self._buffer[:CHUNK]
        self._number += 1
        self.size += len(data)


def start(job: Import) -> bytes:
    """Return the first chunk; b"" for an empty file."""
    with scope(job.brand_id):
        first = ImportChunk.objects.filter(job=job, number=0).first()
    return bytes(first.data) if first else b""


def chunks(job: Import, position: int) -> Iterator[bytes]:
    """Yield the file's bytes from `position` on, a chunk at a time."""
    while position < job.size:
        number, skipped = divmod(position, CHUNK)
        with scope(job.brand_id):
            found = ImportChunk.objects.filter(job=job, number=number).first()
        if found is None:
            raise Bug(f"chunk {number} of import {job.pk} is missing")
        yield bytes(found.data)[skipped:]
        position = (number + 1) * CHUNK


def drop_some(job: Import, *statements: str) -> bool:
    """Delete a slice of what the statements name; tell whether anything was left to delete."""
    with scope(job.brand_id):
        params = {"brand": current_brand(), "job": job.pk}
        return any(run(statement, params) for statement in statements)
