"""Leads, their places in campaigns and their messages: the tables that grow.

Hash-partitioned by brand, with composite keys (leads.partitions). The composite foreign keys and
their cascades are in migration 0002, since Django can't declare them. New rows come
through `leads.ingest` alone. Queries name the brand even under its policy: that prunes plans early.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Func, Q
from django.db.models.functions import Now

from leads.partitions import bare_key, sequence_id
from saas.tenancy import TenantModel


class Lead(TenantModel):
    """A person, by e-mail address in lower case.

    `status` and `category` are those of the campaign they joined last (`joined_at`); per campaign
    they are in CampaignLead. `category` holds Category.remote_id, as of `category_at` (null: not
    known): what SmartLead said later is not overwritten by what it said before. While
    `category_set_at` says that a person chose it, the ingest leaves it alone, in the lead and in
    its places.
    """

    pk = models.CompositePrimaryKey("brand_id", "id")
    brand = bare_key("accounts.Brand")
    id = sequence_id("leads_lead")
    email = models.TextField(db_collation="C")
    first_name = models.TextField(default="")
    last_name = models.TextField(default="")
    company = models.TextField(default="")
    phone = models.TextField(default="")
    website = models.TextField(default="")
    location = models.TextField(default="")
    linkedin = models.TextField(default="")
    company_url = models.TextField(default="")
    custom = models.JSONField(default=dict)
    unsubscribed = models.BooleanField(default=False)
    status = models.TextField(default="")
    category = models.BigIntegerField(null=True)
    category_at = models.DateTimeField(null=True)
    category_set_at = models.DateTimeField(null=True)
    replied = models.BooleanField(default=False)
    joined_at = models.DateTimeField()
    last_activity_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    search = models.GeneratedField(
        expression=Func(
            "first_name",
            "last_name",
            "company",
            template="lower(%(expressions)s)",
            arg_joiner=" || ' ' || ",
            output_field=models.TextField(),
        ),
        output_field=models.TextField(),
        db_persist=True,
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["brand", "email"], name="one_lead_per_email"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["brand", "-last_activity_at", "-id"], name="lead_newest"),
            models.Index(
                fields=["brand", "status", "-last_activity_at", "-id"], name="lead_by_status"
            ),
            models.Index(
                fields=["brand", "category", "-last_activity_at", "-id"],
                condition=Q(category__isnull=False),
                name="lead_by_category",
            ),
            models.Index(
                fields=["brand", "-last_activity_at", "-id"],
                condition=Q(replied=True),
                name="lead_replied",
            ),
            models.Index(
                fields=["brand", "-last_activity_at", "-id"],
                condition=Q(unsubscribed=True),
                name="lead_unsubscribed",
            ),
            # Pairs of filters: one that matches nothing is a glance, not a walk over all of one.
            models.Index(
                fields=["brand", "category", "status", "-last_activity_at", "-id"],
                condition=Q(category__isnull=False),
                name="lead_category_status",
            ),
            models.Index(
                fields=["brand", "status", "-last_activity_at", "-id"],
                condition=Q(replied=True),
                name="lead_replied_status",
            ),
            models.Index(
                fields=["brand", "category", "-last_activity_at", "-id"],
                condition=Q(replied=True, category__isnull=False),
                name="lead_replied_category",
            ),
            models.Index(
                fields=["brand", "status", "-last_activity_at", "-id"],
                condition=Q(unsubscribed=True),
                name="lead_unsubscribed_status",
            ),
            models.Index(
                fields=["brand", "category", "-last_activity_at", "-id"],
                condition=Q(unsubscribed=True, category__isnull=False),
                name="lead_unsubscribed_category",
            ),
            models.Index(
                fields=["brand", "-last_activity_at", "-id"],
                condition=Q(unsubscribed=True, replied=True),
                name="lead_unsubscribed_replied",
            ),
            GinIndex(fields=["search"], opclasses=["gin_trgm_ops"], name="lead_search"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class CampaignLead(TenantModel):
    """A lead's place in a campaign. Its row is also the work item of fetching its messages.

    `history_at` is when the messages were last fetched, 1970 for never; `history_rank` says
    how soon they are wanted (0: has replied), and grows when fetching fails.
    """

    pk = models.CompositePrimaryKey("brand_id", "campaign_id", "lead_id")
    brand = bare_key("accounts.Brand")
    campaign = bare_key("leads.Campaign")
    lead_id = models.BigIntegerField()
    remote_lead_id = models.BigIntegerField(null=True)
    map_id = models.BigIntegerField(null=True)
    status = models.TextField(default="")
    category = models.BigIntegerField(null=True)
    category_at = models.DateTimeField(null=True)
    replied = models.BooleanField(default=False)
    joined_at = models.DateTimeField()
    last_activity_at = models.DateTimeField()
    history_rank = models.SmallIntegerField()
    history_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["brand", "campaign", "-last_activity_at", "-lead_id"],
                name="campaign_lead_newest",
            ),
            models.Index(
                fields=["brand", "campaign", "status", "-last_activity_at", "-lead_id"],
                name="campaign_lead_by_status",
            ),
            models.Index(
                fields=["brand", "campaign", "category", "-last_activity_at", "-lead_id"],
                condition=Q(category__isnull=False),
                name="campaign_lead_by_category",
            ),
            models.Index(
                fields=["brand", "campaign", "-last_activity_at", "-lead_id"],
                condition=Q(replied=True),
                name="campaign_lead_replied",
            ),
            models.Index(fields=["brand", "lead_id"], name="campaign_lead_by_lead"),
            models.Index(
                fields=["brand", "history_rank", "history_at"], name="campaign_lead_history"
            ),
        ]

    def __str__(self) -> str:
        return f"lead {self.lead_id} in campaign {self.campaign_id}"


class Message(TenantModel):
    """One mail of a lead's thread. `body` is HTML as it came: hostile, shown through leads.mail."""

    class Direction(models.TextChoices):
        SENT = "sent", "Sent"
        REPLY = "reply", "Reply"

    pk = models.CompositePrimaryKey("brand_id", "id")
    brand = bare_key("accounts.Brand")
    id = sequence_id("leads_message")
    lead_id = models.BigIntegerField()
    campaign = bare_key("leads.Campaign")
    key = models.TextField(db_collation="C")
    direction = models.TextField(choices=Direction)
    sent_at = models.DateTimeField()
    sender = models.TextField(default="")
    recipient = models.TextField(default="")
    subject = models.TextField(default="")
    body = models.TextField(default="")
    step = models.SmallIntegerField(null=True)
    opens = models.IntegerField(default=0)
    clicks = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            # Leads with the lead, so that it also serves the thread of a lead.
            models.UniqueConstraint(
                fields=["brand", "lead_id", "campaign", "key"], name="one_row_per_message"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.sent_at:%Y-%m-%d %H:%M}"
