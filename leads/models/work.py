"""What people do with leads: tags, notes, saved views, changes and the jobs that make many of them.

LeadTag, LeadChange and Suppression grow with leads, so they are hash-partitioned by brand as leads
are. The composite keys between them are in migration 0005.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from leads.partitions import bare_key, sequence_id
from saas.leases import LeasedModel
from saas.tenancy import TenantModel


class Tag(TenantModel):
    """A brand's own word for leads; upper and lower case are one."""

    LONGEST = 40
    MOST = 200  # of a brand

    name = models.CharField(max_length=LONGEST)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("brand", Lower("name"), name="one_tag_per_name"),
            models.UniqueConstraint(fields=["brand", "id"], name="tag_within_brand"),
        ]

    def __str__(self) -> str:
        return self.name


class LeadTag(TenantModel):
    """A tag on a lead. A table and no array: under row-level security no operator of arrays
    reaches an index. `last_activity_at` is the lead's, kept by a trigger, so that a tag's leads
    are one walk of an index wherever in the list they stand."""

    pk = models.CompositePrimaryKey("brand_id", "tag_id", "lead_id")
    brand = bare_key("accounts.Brand")
    tag = bare_key("leads.Tag")
    lead_id = models.BigIntegerField()
    added_at = models.DateTimeField()
    last_activity_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["brand", "lead_id"], name="lead_tag_by_lead"),
            models.Index(
                fields=["brand", "tag", "-last_activity_at", "-lead_id"], name="lead_tag_newest"
            ),
        ]

    def __str__(self) -> str:
        return f"tag {self.tag_id} on lead {self.lead_id}"


class Note(TenantModel):
    """What a person wrote of a lead. Goes with its lead."""

    LONGEST = 5000

    lead_id = models.BigIntegerField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    text = models.TextField(max_length=LONGEST)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    edited_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["brand", "lead_id", "created_at"], name="note_by_lead"),
        ]

    def __str__(self) -> str:
        return f"Note {self.pk} on lead {self.lead_id}"


class SavedView(TenantModel):
    """A named filter and sort: `query` holds the list's parameters. Team: all of the brand see it.

    `number` bounds how many a brand may have, in the database.
    """

    MOST = 50

    number = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=60)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    team = models.BooleanField(default=False)
    query = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand", "number"], name="one_view_per_number"),
            models.CheckConstraint(
                condition=Q(number__range=(1, 50)), name="fifty_views_of_a_brand"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BulkJob(TenantModel, LeasedModel):
    """One change of many leads, carried on in batches (leads.work.stride).

    Its leads are those in `leads` (ticked, or found by words), or else those of `filters`, in the
    order of their ids: `position` is the last one done, `upto` the newest there was when somebody
    asked. `total` is None until it was counted. `seen` leads were looked at, `changed` of them
    changed; `undone` changes were taken back.
    """

    class What(models.TextChoices):
        CATEGORY = "category", "Set category"
        TAG = "tag", "Add tag"
        UNTAG = "untag", "Remove tag"
        DELETE = "delete", "Delete"

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"
        FAILED = "failed", "Failed"
        UNDOING = "undoing", "Being undone"
        UNDONE = "undone", "Undone"

    CARRIED: ClassVar = (State.RUNNING, State.UNDOING)
    UNDOABLE: ClassVar = (State.FINISHED, State.CANCELLED, State.FAILED)
    UNDO_FOR = timedelta(days=7)

    what = models.CharField(max_length=10, choices=What)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    request_key = models.UUIDField()
    filters = models.JSONField(default=dict)
    leads = ArrayField(models.BigIntegerField(), null=True)
    category = models.BigIntegerField(null=True)
    tag = models.ForeignKey(Tag, on_delete=models.SET_NULL, null=True, related_name="+")
    label = models.CharField(max_length=200, blank=True, default="")  # the category's or tag's name
    position = models.BigIntegerField(default=0)
    upto = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    seen = models.BigIntegerField(default=0)
    changed = models.BigIntegerField(default=0)
    undone = models.BigIntegerField(default=0)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand", "request_key"], name="one_job_per_request"),
            models.UniqueConstraint(fields=["brand", "id"], name="bulk_job_within_brand"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                condition=Q(state__in=("running", "undoing")),
                name="bulk_job_due",
            ),
        ]

    def __str__(self) -> str:
        return f"Bulk change {self.pk} ({self.state})"

    @property
    def live(self) -> bool:
        return self.state in self.CARRIED

    def undoable(self, now: datetime) -> bool:
        """Tell whether it can be taken back: something changed, within the last seven days."""
        recent = self.ended_at is not None and self.ended_at > now - self.UNDO_FOR
        return self.state in self.UNDOABLE and self.changed > 0 and recent


class LeadChange(TenantModel):
    """A category or tag that a person (or their bulk job) changed: the timeline, and the undo.

    `was` is what the undo needs: of a category the lead's own (`category`, `set_at`) and those of
    its places. Undoing deletes the row.
    """

    class Kind(models.TextChoices):
        CATEGORY = "category", "Category"
        TAG = "tag", "Tag added"
        UNTAG = "untag", "Tag removed"

    pk = models.CompositePrimaryKey("brand_id", "id")
    brand = bare_key("accounts.Brand")
    id = sequence_id("leads_leadchange")
    lead_id = models.BigIntegerField()
    kind = models.TextField(choices=Kind)
    category = models.BigIntegerField(null=True)
    tag_id = models.BigIntegerField(null=True)
    was = models.JSONField(null=True)
    actor_id = models.BigIntegerField(null=True)
    job_id = models.BigIntegerField(null=True)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["brand", "lead_id", "at"], name="lead_change_by_lead"),
            models.Index(
                fields=["brand", "job_id", "id"],
                condition=Q(job_id__isnull=False),
                name="lead_change_by_job",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of lead {self.lead_id}"


class Suppression(TenantModel):
    """A deleted lead that no sync brings back: a hash of its address (docs/adr/0013)."""

    pk = models.CompositePrimaryKey("brand_id", "digest")
    brand = bare_key("accounts.Brand")
    digest = models.BinaryField()
    job_id = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["brand", "job_id"], name="suppression_by_job"),
        ]

    def __str__(self) -> str:
        return f"a lead deleted by job {self.job_id}"
