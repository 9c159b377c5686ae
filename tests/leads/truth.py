"""What the sandbox's SmartLead holds, read past the engine, and whether we hold exactly that."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from leads.ingest.rows import LeadRow
from leads.models import Campaign, CampaignLead, Lead, Message
from leads.smartlead import parse
from saas.tenancy import scope
from sandbox.smartlead import shapes
from sandbox.smartlead.account import options_from_key
from sandbox.smartlead.book import Book, Standing, Wanted
from sandbox.smartlead.threads import history_entry


def truth(
    key: str, exported: Collection[int] = ()
) -> tuple[set[str], set[tuple[int, str]], set[tuple[int, str, str]]]:
    """Return the e-mails, places (campaign, e-mail) and messages of an account, malformed rows
    left out. Untouched accounts only: it is read from the seed, not over HTTP.

    As pages have them, but for the `exported` campaigns: in CSV a number of the wrong type is none.
    """
    book = Book(options_from_key(key))
    emails: set[str] = set()
    places: set[tuple[int, str]] = set()
    messages: set[tuple[int, str, str]] = set()
    for campaign in book.campaigns():
        rows = book.rows(campaign, Wanted())
        for position in rows.page(0, len(rows)):
            standing = book.standing(campaign, position)
            for row in _readable(book, standing, exported=campaign.id in exported):
                emails.add(row.email)
                places.add((campaign.id, row.email))
                history = [history_entry(message) for message in book.thread(standing)]
                for message in parse.history({"history": history}).messages:
                    messages.add((campaign.id, row.email, message.key))
    return emails, places, messages


def _readable(book: Book, standing: Standing, *, exported: bool) -> list[LeadRow]:
    if not exported:
        return list(parse.lead_page({"data": [shapes.lead_row(book, standing)]}).rows)
    cells = ["" if cell is None else str(cell) for cell in shapes.export_row(book, standing)]
    rows = parse.export([list(shapes.EXPORT_COLUMNS), cells], {})
    return [row for row in rows if isinstance(row, LeadRow)]


def held(brand: Any) -> tuple[list[str], list[tuple[int, str]], list[tuple[int, str, str]]]:
    """Return the same of what the brand holds."""
    with scope(brand):
        emails = dict(Lead.objects.values_list("id", "email"))
        remote = dict(Campaign.objects.values_list("id", "remote_id"))
        places = CampaignLead.objects.values_list("campaign_id", "lead_id")
        messages = Message.objects.values_list("campaign_id", "lead_id", "key")
        return (
            list(emails.values()),
            [(remote[campaign], emails[lead]) for campaign, lead in places],
            [(remote[campaign], emails[lead], key) for campaign, lead, key in messages],
        )


def assert_exact(account: Any) -> None:
    """Everything is here, once, and nothing else."""
    for ours, theirs in zip(held(account.brand), truth(account.key), strict=True):
        assert len(ours) == len(set(ours))
        assert set(ours) == theirs
