"""What an event changes: the lead, its messages, its category, its campaign.

Everything goes through the ingest, so an event that comes twice, late or out of order leaves what
the same events in order would. What an event doesn't tell in full makes the lead's thread due, and
the next sync fetches it.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from leads.hooks import event as events
from leads.hooks.event import Event
from leads.ingest import leads, messages, rejections
from leads.ingest.leads import NEVER, hold_ingest
from leads.ingest.rejections import clean
from leads.ingest.rows import BadRow, LeadRow, Thread
from leads.ingest.staging import run
from leads.models import Campaign, CampaignLead, Category, Connection, Lead

# How soon the thread is wanted when the event does not hold it: leads.ingest.leads.RANK.
RANKS = {
    "EMAIL_SENT": 2,
    "FIRST_EMAIL_SENT": 2,
    "EMAIL_OPEN": 1,
    "EMAIL_LINK_CLICK": 1,
    "EMAIL_REPLY": 0,
    "EMAIL_BOUNCE": 2,
    "LEAD_UNSUBSCRIBED": 2,
    "LEAD_CATEGORY_UPDATED": 1,
}
WITH_MAIL = {
    "EMAIL_SENT": "sent",
    "FIRST_EMAIL_SENT": "sent",
    "EMAIL_REPLY": "reply",
    "LEAD_CATEGORY_UPDATED": "",
    "LEAD_UNSUBSCRIBED": "",
}
BY_THE_LEAD = {*RANKS} - {"LEAD_CATEGORY_UPDATED"}

TOUCH_PLACE = f"""
UPDATE leads_campaignlead c SET
  history_at = CASE WHEN %(due)s THEN '{NEVER}' ELSE c.history_at END,
  history_rank = least(c.history_rank, %(rank)s),
  last_activity_at = greatest(c.last_activity_at, %(at)s)
WHERE c.brand_id = %(brand)s AND c.campaign_id = %(campaign)s AND c.lead_id = %(lead)s"""  # noqa: S608
TOUCH_LEAD = """
UPDATE leads_lead l SET last_activity_at = %(at)s
WHERE l.brand_id = %(brand)s AND l.id = %(lead)s AND l.last_activity_at < %(at)s"""

# The later word holds, a person's too (ADR 13). The lead shows the category of the campaign that it
# joined last.
JUDGE_PLACE = """
UPDATE leads_campaignlead c SET category = %(category)s, category_at = %(at)s FROM leads_lead l
WHERE c.brand_id = %(brand)s AND c.campaign_id = %(campaign)s AND c.lead_id = %(lead)s
  AND l.brand_id = %(brand)s AND l.id = %(lead)s
  AND greatest(c.category_at, l.category_set_at, '-infinity') < %(at)s"""
JUDGE_LEAD = """
UPDATE leads_lead l SET category = %(category)s, category_at = %(at)s, category_set_at = NULL
WHERE l.brand_id = %(brand)s AND l.id = %(lead)s
  AND greatest(l.category_at, l.category_set_at, '-infinity') < %(at)s
  AND l.joined_at <= (SELECT c.joined_at FROM leads_campaignlead c
    WHERE c.brand_id = %(brand)s AND c.campaign_id = %(campaign)s AND c.lead_id = %(lead)s)"""


def apply(event: Event, *, brand_id: int) -> str:
    """Apply the event inside the brand's scope; return a few words where it changed nothing.

    Holds the brand's ingest lock and, for a new lead, its billing account until the commit.
    """
    if event.type == "CAMPAIGN_STATUS_CHANGED":
        return _campaign_changed(event, brand_id)
    if event.type not in RANKS:
        return "not used"
    hold_ingest(brand_id)  # before any row, as every ingest does
    campaign = _campaign(event)
    if campaign is None:
        return _rejected(event, brand_id, BadRow("no_campaign", "It names no campaign.", ""))
    row = _row(event, brand_id, campaign)
    if isinstance(row, BadRow):
        return _rejected(event, brand_id, row)
    merged = leads.merge(brand_id=brand_id, campaign_id=campaign.pk, rows=[row])
    if merged.refusal:
        return f"left out: {merged.refusal}"
    rows = Lead.objects.filter(brand_id=brand_id, email=row.email)
    lead_id = rows.values_list("id", flat=True).first()
    if lead_id is None:
        return "left out: deleted here"
    _tell(event, brand_id=brand_id, campaign=campaign, lead_id=lead_id)
    return ""


def _tell(event: Event, *, brand_id: int, campaign: Campaign, lead_id: int) -> None:
    """Take over what the event tells of a lead that is here."""
    found = events.thread(event)
    if found.bad:
        rejections.record(
            brand_id=brand_id, source="webhook", bad=found.bad, campaign_id=campaign.pk
        )
    if found.messages:
        messages.merge(
            brand_id=brand_id,
            campaign_id=campaign.pk,
            threads=[Thread(lead_id, tuple(found.messages))],
            fetched_at=None,
        )
    wanted = WITH_MAIL.get(event.type)
    whole = wanted == "" or (
        wanted is not None and any(mail.direction == wanted for mail in found.messages)
    )
    place = {"brand": brand_id, "campaign": campaign.pk, "lead": lead_id, "at": event.at}
    judged = event.type != "LEAD_CATEGORY_UPDATED" or _judge(event, place, brand_id)
    due = not whole or not judged or bool(found.bad)
    by_lead = event.type in BY_THE_LEAD
    at = event.at if by_lead else datetime.fromisoformat(NEVER)
    run(TOUCH_PLACE, {**place, "at": at, "due": due, "rank": RANKS[event.type]})
    if by_lead:
        run(TOUCH_LEAD, place)


def _judge(event: Event, place: dict[str, object], brand_id: int) -> bool:
    """Set the category, unless a later one is known; False when the event doesn't say which."""
    told = events.category(event)
    if told is None:
        return False
    number, name = told
    if number is not None and name:
        Category.objects.bulk_create(
            [Category(brand_id=brand_id, remote_id=number, name=clean(name)[:200])],
            ignore_conflicts=True,
        )
    run(JUDGE_LEAD, {**place, "category": number})
    run(JUDGE_PLACE, {**place, "category": number})
    return True


def _row(event: Event, brand_id: int, campaign: Campaign) -> LeadRow | BadRow:
    known = Lead.objects.filter(brand_id=brand_id, email=clean(event.email)).first()
    place = (
        known
        and CampaignLead.objects.filter(
            brand_id=brand_id, campaign_id=campaign.pk, lead_id=known.id
        ).first()
    )
    return events.lead(event, remote_id=place and place.remote_lead_id, new=known is None)


def _campaign(event: Event) -> Campaign | None:
    """Return the event's campaign, made known if it is new."""
    if event.campaign is None:
        return None
    connection = Connection.objects.get()
    name = event.body.get("campaign_name")
    status = _status(event)
    Campaign.objects.bulk_create(
        [
            Campaign(
                connection=connection,
                remote_id=event.campaign,
                name=clean(name)[:300] if isinstance(name, str) and name else "Unnamed campaign",
                status=status,
                status_at=event.at if status else None,
            )
        ],
        ignore_conflicts=True,
    )
    found: Campaign = Campaign.objects.get(connection=connection, remote_id=event.campaign)
    return found


def _campaign_changed(event: Event, brand_id: int) -> str:
    campaign, status = _campaign(event), _status(event)
    if campaign is None or not status:
        bad = BadRow("no_campaign", "It names no campaign, or no status of it.", "")
        return _rejected(event, brand_id, bad)
    older = Q(status_at=None) | Q(status_at__lt=event.at)
    Campaign.objects.filter(older, pk=campaign.pk).update(status=status, status_at=event.at)
    return ""


def _status(event: Event) -> str:
    status = event.body.get("campaign_status")
    return clean(status)[:20] if isinstance(status, str) else ""


def _rejected(event: Event, brand_id: int, bad: BadRow) -> str:
    raw = bad.raw or events.without_secrets(event.body)
    rejections.record(
        brand_id=brand_id, source="webhook", bad=[BadRow(bad.reason, bad.detail, raw)]
    )
    return f"left out: {bad.reason}"
