"""A backfill: the work of fetching a brand's leads and messages, its cursors and its pace."""

from __future__ import annotations

import json
import re
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from leads.models.source import Campaign, Connection
from saas.leases import LeasedModel
from saas.tenancy import TenantModel

NAMED = re.compile(r'"(email|first_name|last_name)": ("(?:[^"\\]|\\.)*")')


class Backfill(TenantModel, LeasedModel):
    """One run. PostgreSQL owns it; strides (leads.backfill.engine) carry it on.

    `due_at` is when the next stride is expected; a sweep wakes what is overdue. `wait` says what
    the run waits for. Parked for `quota_exceeded`, a run still fetches messages of the leads that
    were admitted. A sync (leads.backfill.sync) follows a finished backfill and asks for what is new
    since; it knows its campaigns only once SmartLead has listed them (`has_campaigns`).

    One run of a brand is carried on at a time. One that waits for room in the plan, all else being
    done, has no `due_at`, and syncs go on beside it until it is resumed.
    """

    class Kind(models.TextChoices):
        FULL = "full", "Backfill"
        SYNC = "sync", "Update"

    class State(models.TextChoices):
        PLANNED = "planned", "Planned"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        PARKED = "parked", "Waiting"
        CANCELLED = "cancelled", "Cancelled"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"

    class Phase(models.TextChoices):
        LEADS = "leads", "Leads"
        HISTORY = "history", "Messages"
        DONE = "done", "Done"

    class Wait(models.TextChoices):
        WINDOW = "window", "Your rate limit"
        IN_FLIGHT = "in_flight", "Calls under way"
        VENDOR = "vendor", "SmartLead asked us to wait"
        BREAKER = "breaker", "SmartLead is not answering"
        FAULT = "fault", "A call failed"
        COORDINATION = "coordination", "Our own coordination"
        TRIAL_EXPIRED = "trial_expired", "Trial over"
        QUOTA_EXCEEDED = "quota_exceeded", "Plan is full"
        SUSPENDED = "suspended", "Subscription paused"
        BAD_KEY = "bad_key", "Key refused"

    LIVE: ClassVar = (State.PLANNED, State.RUNNING, State.PAUSED, State.PARKED)
    CARRIED: ClassVar = (State.RUNNING, State.PARKED)  # by strides, once due_at has come
    ENTITLEMENT_WAITS: ClassVar = (Wait.TRIAL_EXPIRED, Wait.QUOTA_EXCEEDED, Wait.SUSPENDED)

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=4, choices=Kind, default=Kind.FULL, db_default=Kind.FULL)
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    phase = models.CharField(max_length=8, choices=Phase, default=Phase.LEADS)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    # The plan, as shown before the start. Seconds at the brand's limit.
    planned_campaigns = models.PositiveIntegerField(default=0)
    planned_leads = models.PositiveBigIntegerField(default=0)
    planned_calls = models.PositiveBigIntegerField(default=0)
    planned_seconds = models.PositiveBigIntegerField(default=0)
    plan_is_exact = models.BooleanField(default=True)
    # Counters, moved in the transaction of what they count.
    calls = models.PositiveBigIntegerField(default=0)
    leads_seen = models.PositiveBigIntegerField(default=0)
    leads_new = models.PositiveBigIntegerField(default=0)
    leads_changed = models.PositiveBigIntegerField(default=0)
    messages_new = models.PositiveBigIntegerField(default=0)
    rejected = models.PositiveBigIntegerField(default=0)
    history_total = models.PositiveBigIntegerField(null=True)
    history_done = models.PositiveBigIntegerField(default=0)
    # Messages fetched after this moment are not fetched again by this run.
    history_since = models.DateTimeField(null=True)
    has_categories = models.BooleanField(default=False)
    has_campaigns = models.BooleanField(default=True, db_default=True)

    wait = models.CharField(max_length=16, choices=Wait, blank=True, default="")
    due_at = models.DateTimeField(null=True, blank=True)
    pushbacks = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["brand"],
                condition=Q(state__in=("planned", "running", "paused"))
                | Q(state="parked", due_at__isnull=False),
                name="one_live_backfill_per_brand",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"],
                condition=Q(state__in=("running", "parked")),
                name="backfill_due",
            ),
        ]

    def __str__(self) -> str:
        return f"Backfill {self.pk} ({self.state})"

    @property
    def live(self) -> bool:
        return self.state in self.LIVE

    @property
    def waits_for_room(self) -> bool:
        """Parked until something outside changes, with nothing to do meanwhile."""
        return self.state == self.State.PARKED and self.due_at is None

    @property
    def full(self) -> bool:
        """Billing admits no new leads: only messages of those that are here may be fetched."""
        return self.state == self.State.PARKED and self.wait in self.ENTITLEMENT_WAITS


class Cursor(TenantModel):
    """How far a backfill has read one campaign's leads. Moved in the page's transaction.

    When a campaign shrinks meanwhile its pages shift, so the cursor steps back by what vanished;
    `rewinds` bounds that. Kind `replied`: the pages of leads that replied, which set their rank.
    Kinds `created` and `events`, of a sync: leads that were added, or had an event, after `since`.
    Kind `active`, where the plan's history is limited: whose messages are wanted
    (leads.backfill.reach).
    From an export `position` counts its rows, and `digest` is that of the rows so far: an export
    that begins otherwise is read from its start again. `fell_back`: the export did not work.
    Kind `all` has no campaign: it reads the account's list, newest first, and its position is the
    id of the last lead that it saw.
    """

    class Kind(models.TextChoices):
        ALL = "all", "All leads of the account"
        LEADS = "leads", "Leads"
        CREATED = "created", "New leads"
        EVENTS = "events", "Leads with events"
        REPLIED = "replied", "Leads that replied"
        ACTIVE = "active", "Leads with events within the plan's history"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        DONE = "done", "Done"
        GONE = "gone", "Deleted at SmartLead"
        SKIPPED = "skipped", "Not readable"

    class Source(models.TextChoices):
        EXPORT = "export", "Export"
        PAGES = "pages", "Pages"

    backfill = models.ForeignKey(Backfill, on_delete=models.CASCADE, related_name="cursors")
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, null=True, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.LEADS)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    source = models.CharField(
        max_length=8, choices=Source, default=Source.PAGES, db_default=Source.PAGES
    )
    fell_back = models.BooleanField(default=False, db_default=False)
    digest = models.CharField(max_length=32, blank=True, default="", db_default="")
    since = models.DateTimeField(null=True)
    position = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(null=True)
    rewinds = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["backfill", "campaign", "kind"], name="one_cursor_per_campaign_and_kind"
            ),
            models.UniqueConstraint(
                fields=["backfill"], condition=Q(kind="all"), name="one_whole_list_per_backfill"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of campaign {self.campaign_id}: {self.position} of {self.total}"

    @property
    def read(self) -> int:
        """Leads read so far; the position counts whole pages, the last of which may be short."""
        return self.position if self.total is None else min(self.position, self.total)


class Rate(TenantModel):
    """What a backfill did in one bucket of time: BUCKET seconds at first, an hour when older."""

    BUCKET = 10

    backfill = models.ForeignKey(Backfill, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    calls = models.PositiveIntegerField(default=0)
    leads = models.PositiveIntegerField(default=0)
    messages = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["backfill", "at"], name="one_rate_per_bucket"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S}: {self.calls} calls"


class Rejection(TenantModel):
    """A row that SmartLead sent and we could not take, once per distinct row and reason."""

    source = models.CharField(max_length=20)
    reason = models.CharField(max_length=40)
    detail = models.CharField(max_length=300, blank=True, default="")
    excerpt = models.TextField(blank=True, default="")
    digest = models.CharField(max_length=32)
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, null=True, related_name="+")
    backfill = models.ForeignKey(Backfill, on_delete=models.SET_NULL, null=True, related_name="+")
    seen = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["brand", "source", "digest"], name="one_row_per_rejection"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"

    @property
    def who(self) -> str:
        """Whom the row was about, as far as its excerpt tells (which may be cut anywhere)."""
        found = {name: json.loads(value) for name, value in NAMED.findall(self.excerpt)}
        name = f"{found.get('first_name', '')} {found.get('last_name', '')}".strip()
        return ", ".join(part for part in (name, found.get("email", "")) if part)
