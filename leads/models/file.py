"""A customer's CSV on its way in: the file itself, what is known of it, and the rows left out."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from saas.leases import LeasedModel
from saas.tenancy import TenantModel


class Import(TenantModel, LeasedModel):
    """One file, read twice: a check that writes no lead, then the import (leads.files.job).

    `position` is the byte up to which this reading has committed, `line` the number of the line
    that begins there; both move in the transaction of the rows before them. `columns` are the
    file's own names, `mapping` says for each what it becomes (leads.files.columns).
    """

    class State(models.TextChoices):
        UPLOADING = "uploading", "Uploading"
        MAPPING = "mapping", "Columns"
        CHECKING = "checking", "Checking"
        CHECKED = "checked", "Checked"
        RUNNING = "running", "Importing"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"
        FAILED = "failed", "Failed"

    class Encoding(models.TextChoices):
        UTF8 = "utf-8", "UTF-8"
        WINDOWS = "windows-1252", "Windows-1252"

    class Delimiter(models.TextChoices):
        COMMA = ",", "Comma"
        SEMICOLON = ";", "Semicolon"
        TAB = "\t", "Tab"

    LIVE: ClassVar = (State.UPLOADING, State.MAPPING, State.CHECKING, State.CHECKED, State.RUNNING)
    CARRIED: ClassVar = (State.CHECKING, State.RUNNING)  # by strides
    WAITING: ClassVar = (State.MAPPING, State.CHECKED)  # for a person

    name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField(default=0)  # bytes as kept, without a byte order mark
    encoding = models.CharField(max_length=12, choices=Encoding, default=Encoding.UTF8)
    delimiter = models.CharField(max_length=1, choices=Delimiter, default=Delimiter.COMMA)
    columns = models.JSONField(default=list)
    mapping = models.JSONField(default=list)
    state = models.CharField(max_length=10, choices=State, default=State.UPLOADING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    position = models.PositiveBigIntegerField(default=0)
    line = models.PositiveBigIntegerField(default=1)
    # What the check found: rows = new + known + bad + deleted.
    rows = models.PositiveBigIntegerField(default=0)
    new = models.PositiveBigIntegerField(default=0)
    known = models.PositiveBigIntegerField(default=0)
    bad = models.PositiveBigIntegerField(default=0)
    # Leads that were deleted here before: found by the check, then counted anew by the import.
    deleted = models.PositiveBigIntegerField(default=0, db_default=0)
    # What the import did with them; done counts the rows it has read.
    done = models.PositiveBigIntegerField(default=0)
    leads_new = models.PositiveBigIntegerField(default=0)
    leads_changed = models.PositiveBigIntegerField(default=0)
    left_out = models.PositiveBigIntegerField(default=0)  # for want of room in the plan

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    touched_at = models.DateTimeField(db_default=Now())
    pass_at = models.DateTimeField(null=True)  # when this reading began
    started_at = models.DateTimeField(null=True)  # the import's; its leads joined then
    ended_at = models.DateTimeField(null=True)
    emptied_at = models.DateTimeField(null=True)  # when the file itself was deleted

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["brand"],
                condition=Q(state__in=("uploading", "mapping", "checking", "checked", "running")),
                name="one_live_import_per_brand",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["touched_at"], condition=Q(emptied_at=None), name="import_unfinished"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"

    @property
    def live(self) -> bool:
        return self.state in self.LIVE

    @property
    def good(self) -> int:
        """Rows that the check let pass."""
        return self.new + self.known

    @property
    def rejected(self) -> int:
        return self.bad + self.left_out + self.deleted


class ImportChunk(TenantModel):
    """The `number`th CHUNK bytes of the file (leads.files.store). Deleted when the import ends."""

    job = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "number"], name="one_row_per_chunk"),
        ]

    def __str__(self) -> str:
        return f"Chunk {self.number} of import {self.job_id}"


class ImportAddress(TenantModel):
    """An e-mail address of the file and the line that it stands in first."""

    pk = models.CompositePrimaryKey("job_id", "email")
    brand = models.ForeignKey(
        "accounts.Brand", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    job = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="+", db_index=False)
    email = models.TextField(db_collation="C")
    line = models.BigIntegerField()

    def __str__(self) -> str:
        return f"Line {self.line} of import {self.job_id}"


class ImportRejection(TenantModel):
    """A row of the file that was left out: its line, why, and its cells as they came."""

    job = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="+", db_index=False)
    line = models.BigIntegerField()
    reason = models.CharField(max_length=40)
    detail = models.CharField(max_length=300)
    cells = models.JSONField(default=list)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "line"], name="one_rejection_per_line"),
        ]

    def __str__(self) -> str:
        return f"Line {self.line}: {self.reason}"

    @property
    def excerpt(self) -> str:
        return ", ".join(filter(None, self.cells))
