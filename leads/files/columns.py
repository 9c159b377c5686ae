"""What a file's columns become: guessed from their names, chosen by the person. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from leads.ingest.fields import EMAIL
from saas.errors import Refused

# Where a cell goes: a column of leads_lead, or one of these.
OWN: Final = "own"  # a custom field by the column's name
SKIP: Final = ""
CUSTOM: Final = "custom"  # JSON: what the export writes
UNSUBSCRIBED: Final = "unsubscribed"
PERSON: Final = {
    "email": "Email",
    "first_name": "First name",
    "last_name": "Last name",
    "company": "Company",
    "phone": "Phone",
    "website": "Website",
    "location": "Location",
    "linkedin": "LinkedIn",
    "company_url": "Company URL",
}
FIELDS: Final = {**PERSON, UNSUBSCRIBED: "Unsubscribed", CUSTOM: "Custom fields"}
CHOICES: Final = [(SKIP, "Leave it out"), *FIELDS.items(), (OWN, "Own field")]
# What the export adds for people; a lead's standing comes from campaigns, not from files.
STANDING: Final = ("Status", "Category", "Replied", "Joined (UTC)", "Last activity (UTC)")
REJECTED: Final = ("Line", "Reason")  # before the columns of a file of rejected rows

NAMES: Final = {
    "email": "email emailaddress mail workemail businessemail primaryemail contactemail",
    "first_name": "firstname first givenname forename vorname",
    "last_name": "lastname last surname familyname nachname",
    "company": "company companyname organization organisation account accountname employer firma",
    "phone": "phone phonenumber mobile mobilephone telephone tel cell workphone directphone",
    "website": "website web homepage site companywebsite",
    "location": "location city place region",
    "linkedin": "linkedin linkedinurl linkedinprofile linkedinprofileurl personlinkedinurl",
    "company_url": "companyurl companydomain domain",
    UNSUBSCRIBED: "unsubscribed isunsubscribed optout optedout",
    CUSTOM: "customfields",
}
_FIELD_OF: Final = {name: field for field, names in NAMES.items() for name in names.split()}


def guess(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return what each column most likely is; no field twice, and what is unknown stays by name."""
    skipped = set(STANDING) if {*FIELDS.values(), *STANDING} <= set(columns) else set()
    skipped |= set(REJECTED) if tuple(columns[:2]) == REJECTED else set()
    found: list[str] = []
    for name in columns:
        plain = re.sub(r"[\W_]", "", name.lower())
        field = SKIP if name in skipped or not name else _FIELD_OF.get(plain, OWN)
        found.append(OWN if field in found and field not in (OWN, SKIP) else field)
    if "email" not in found:
        position = _of_addresses(rows)
        if position is not None:
            found[position] = "email"
    return found


def _of_addresses(rows: Sequence[Sequence[str]]) -> int | None:
    """Return the column that holds addresses, whatever it is called."""
    for position, cells in enumerate(zip(*rows, strict=True)):
        if all(EMAIL.fullmatch(cell.strip()) for cell in cells):
            return position
    return None


def no_names(columns: Sequence[str]) -> bool:
    """Tell whether the first line looks like a lead rather than like names."""
    return any(EMAIL.fullmatch(name) for name in columns)


def check(columns: Sequence[str], mapping: Sequence[str]) -> None:
    """Raise Refused for a mapping that can't be: no address, a field twice, a wrong length."""
    if len(mapping) != len(columns) or not set(mapping) <= dict(CHOICES).keys():
        raise Refused("other_columns", "The columns changed meanwhile. Look at them again.")
    if "email" not in mapping:
        raise Refused("no_email", "Choose the column that holds the e-mail addresses.")
    for field, label in FIELDS.items():
        if mapping.count(field) > 1:
            raise Refused("twice", f"Only one column can be {label}.")


def own_names(columns: Sequence[str]) -> list[str]:
    """Return the columns' names as names of fields: none empty, none twice."""
    names: list[str] = []
    for number, column in enumerate(columns, 1):
        plain = name = column or f"Column {number}"
        times = 1
        while name in names:
            times += 1
            name = f"{plain} ({times})"
        names.append(name)
    return names
