"""What came into the demo by other ways than a backfill: a file, and SmartLead's events."""

from __future__ import annotations

import json
from datetime import timedelta

from django.test import RequestFactory
from django.utils import timezone

from accounts.models import Brand, User
from leads.files import control, job, store, sweep
from leads.hooks import inbox
from leads.hooks.door import smartlead_webhook
from leads.models import Campaign, CampaignLead, Hook, Import, Lead
from saas.errors import Bug
from saas.tenancy import scope

FILE = "trade fair Hamburg.csv"
ROWS = """Email,First name,Last name,Company,Stand
jana.petersen@elbwind.example,Jana,Petersen,Elbwind,B4
tomas.hradec@labe-logistik.example,Tomas,Hradec,Labe Logistik,B7
not an address,Mira,Sol,Solvio,C1
aiko.mori@kaidan.example,Aiko,Mori,Kaidan,C2
jana.petersen@elbwind.example,Jana,Petersen,Elbwind,B4
owen.price@,Owen,Price,Price & Sons,D9
lena.falk@norrsken.example,Lena,Falk,Norrsken,A1
"""
STRIDES = 20  # far more than the file needs
EVENTS = ("EMAIL_SENT", "EMAIL_OPEN", "EMAIL_LINK_CLICK", "EMAIL_OPEN", "LEAD_UNSUBSCRIBED")


def import_file(brand: Brand, owner: User) -> None:
    """Upload, check and import a file in which some rows can't be taken."""
    writer = store.Writer(control.begin(brand_id=brand.pk, name=FILE, actor=owner))
    writer.write(ROWS.encode())
    writer.finish()
    row = control.accept(writer, actor=owner)
    control.check(
        brand_id=brand.pk, import_id=row.pk, encoding=row.encoding, delimiter=row.delimiter,
        mapping=row.mapping, actor=owner,
    )  # fmt: skip
    _carry(brand, row.pk)
    control.start(brand_id=brand.pk, import_id=row.pk, actor=owner)
    _carry(brand, row.pk)
    sweep.clean(brand.pk, row.pk)


def _carry(brand: Brand, import_id: int) -> None:
    for _ in range(STRIDES):
        with scope(brand):
            if Import.objects.get(pk=import_id).state not in Import.CARRIED:
                return
        job.stride(brand.pk, import_id)
    raise Bug("the demo's import does not end")


def hear(brand: Brand) -> None:
    """Receive events of some leads, as SmartLead would have sent them, and one that is no use."""
    with scope(brand):
        token = Hook.objects.get().token.reveal()
        places = CampaignLead.objects.order_by("-last_activity_at", "lead_id")[: len(EVENTS)]
        rows = list(places.values_list("campaign_id", "lead_id"))
        remote = dict(Campaign.objects.values_list("pk", "remote_id"))
        emails = dict(
            Lead.objects.filter(id__in=[lead for _, lead in rows]).values_list("id", "email")
        )
    for number, (kind, (campaign, lead)) in enumerate(zip(EVENTS, rows, strict=False)):
        at = timezone.now() - timedelta(minutes=7 * (number + 1))
        told = {"campaign_id": remote[campaign], "sl_lead_email": emails[lead]}
        _receive(token, told | {"event_type": kind, "event_timestamp": at.isoformat()})
    _receive(token, {"event_type": "EMAIL_OPEN", "sl_lead_email": "nobody@nowhere.example"})
    inbox.drain()


def _receive(token: str, told: dict[str, object]) -> None:
    request = RequestFactory().post("/", json.dumps(told), content_type="application/json")
    answer = smartlead_webhook(request, token)
    if answer.status_code != 200:
        raise Bug(f"the demo's event was answered with {answer.status_code}")
