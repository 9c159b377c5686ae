"""Taking our webhooks away from SmartLead when a brand disconnects: in a few seconds, or not.

A person waits, and the key is forgotten afterwards. What remains does no harm, since its address
takes nothing any more; a new connection finds it and takes it up again.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import structlog

from leads.models import Campaign, Connection
from leads.smartlead import client
from leads.smartlead.errors import Missing
from leads.smartlead.gate import of as gate_of
from saas.crypto import Sealed
from saas.errors import Refused

log = structlog.get_logger(__name__)

PATIENCE = 8.0  # seconds for all campaigns together


def placed(connection: Connection) -> list[Campaign]:
    """Return the campaigns that have a webhook of ours; in the brand's scope."""
    rows = Campaign.objects.filter(connection=connection, hook_id__isnull=False)
    return list(rows.exclude(status="DELETED").order_by("id"))


def take_away(connection: Connection, key: Sealed, campaigns: list[Campaign]) -> list[int]:
    """Remove the webhooks of these campaigns at SmartLead; return the campaigns that are free of
    theirs. Calls behind the gate, so no transaction may be open. Never raises for a fault there."""
    gate, until = gate_of(connection), time.monotonic() + PATIENCE

    def remove(campaign: Campaign) -> bool:
        number = campaign.hook_id
        if number is None or time.monotonic() > until:
            return False
        try:
            gate.call(lambda: client.remove_webhook(key.reveal(), campaign.remote_id, number))
        except Missing:
            return True  # the webhook or its campaign
        except Refused as e:  # every fault, in gate.call's words
            log.info("webhooks.left", campaign=campaign.pk, reason=e.code)
            return False
        return True

    with ThreadPoolExecutor(max_workers=gate.limit.in_flight) as pool:
        done = list(pool.map(remove, campaigns))
    return [campaign.pk for campaign, gone in zip(campaigns, done, strict=True) if gone]
