"""Rows as they should not be: without an address, with a bad one, NUL characters, huge fields,
wrong types.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from sandbox.smartlead.profiles import slot

if TYPE_CHECKING:
    from sandbox.smartlead.account import Account
    from sandbox.smartlead.book import Standing

FLAWS = ("no_email", "bad_email", "nul", "huge", "types", "no_lead", "null_row")
_NATURAL_SLOTS = (333, 777)
_NATURAL = ("no_email", "bad_email", "nul", "types")


def natural_fault(account: Account, standing: Standing) -> str | None:
    """The lasting flaw of this row in an account that has some; two rows in a thousand."""
    campaign = standing.campaign
    if (
        not account.options.malformed
        or slot(campaign.root, standing.position) not in _NATURAL_SLOTS
    ):
        return None
    return _NATURAL[standing.lead % len(_NATURAL)]


def spoil(row: dict[str, Any], flaw: str) -> Any:
    """A copy of a page's row with this flaw. Everything else in it stays right."""
    row = deepcopy(row)
    lead = row["lead"]
    if flaw == "no_email":
        lead["email"] = None
    elif flaw == "bad_email":
        lead["email"] = f"{lead['email'].partition('@')[0]} at nowhere"
    elif flaw == "nul":
        lead["first_name"] = f"{lead['first_name']}\x00"
        lead["company_name"] = f"\x00{lead['company_name']}"
    elif flaw == "huge":
        lead["company_name"] = "x" * 1_000_000
        lead["custom_fields"] = {f"field_{n}": "y" * 1000 for n in range(200)}
    elif flaw == "types":
        lead |= {
            "id": str(lead["id"]),
            "first_name": 42,
            "custom_fields": "none",
            "phone_number": ["+1"],
        }
        row["created_at"] = 0
    elif flaw == "no_lead":
        row["lead"] = None
    elif flaw == "null_row":
        return None
    return row
