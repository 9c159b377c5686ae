"""What a person reads where a limit of the plan is met: one sentence, what more there is, the way.

Pure words over Entitlements; `{% upgrade "leads" %}` (billing.templatetags.upgrade) shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from billing import catalog
from billing.catalog import Limits, Plan
from billing.entitlements import Entitlements
from saas.charts import grouped

Limit = Literal["leads", "connections", "devices", "members", "history_days"]
CHOOSE, LARGER = "choose a plan", "choose a larger plan"


@dataclass(frozen=True)
class Prompt:
    """`title` says what is met; `larger` is the next plan that has more, and `more` what it has
    (its name goes before). `wish` is what whoever manages billing may do; "" when nothing helps."""

    title: str
    larger: Plan | None
    more: str
    wish: str


def of(limit: Limit, rights: Entitlements) -> Prompt:
    """Say that the brand has met `limit`, or that it may take in nothing at all now."""
    plan = catalog.larger(rights.plan, limit)
    more = MORE[limit](plan.least) if plan else ""
    if limit == "history_days":
        return Prompt(_reach(rights), plan, more, LARGER if plan else "")
    if rights.needs_first_plan:
        return Prompt("This brand has no plan yet.", None, "", CHOOSE)
    if rights.refusal == "trial_expired":
        return Prompt("Your trial has ended.", None, "", CHOOSE)
    if rights.refusal:
        return Prompt("Your subscription is not active.", None, "", "renew it")
    return Prompt(TITLES[limit](rights), plan, more, LARGER if plan else "")


def page(rights: Entitlements) -> str:
    """Name the page where a plan is bought or changed."""
    if rights.plan == catalog.TRIAL:
        return "billing:subscribe"
    return "billing:overview" if rights.refusal else "billing:change"


def past(days: int | None) -> str:
    """Say a plan's history of messages in words."""
    match days:
        case None:
            return "All messages, however old"
        case 0:
            return "No messages"
        case 365:
            return "Messages of leads active in the last year"
    return f"Messages of leads active in the last {days} days"


def _leads(rights: Entitlements) -> str:
    if rights.leads_left:
        noun = "lead" if rights.leads_left == 1 else "leads"
        return f"{rights.plan_name} has room for {grouped(rights.leads_left)} more {noun}."
    quota, used = grouped(rights.lead_quota), grouped(rights.leads_used)
    return f"{rights.plan_name} is full: it holds {quota} leads, and you have brought in {used}."


def _connections(rights: Entitlements) -> str:
    if not rights.connections:
        return f"{rights.plan_name} includes no SmartLead account."
    return f"{rights.plan_name} includes {_counted(rights.connections, 'SmartLead account')}."


def _devices(rights: Entitlements) -> str:
    if rights.devices == 1:
        return f"The one device of {rights.plan_name} is in use."
    return f"All {grouped(rights.devices)} devices of {rights.plan_name} are in use."


def _members(rights: Entitlements) -> str:
    if rights.members == 1:
        return f"{rights.plan_name} is for one person."
    return f"{rights.plan_name} is for {rights.members} people, and all places are given."


def _reach(rights: Entitlements) -> str:
    return f"{past(rights.history_days)}: that is how far {rights.plan_name} reaches."


def _counted(number: int, noun: str) -> str:
    return f"one {noun}" if number == 1 else f"{grouped(number)} {noun}s"


def _further(limits: Limits) -> str:
    match limits.history_days:
        case None:
            return "reaches all the way back"
        case 365:
            return "reaches a year back"
    return f"reaches {limits.history_days} days back"


TITLES: dict[Limit, Callable[[Entitlements], str]] = {
    "leads": _leads,
    "connections": _connections,
    "devices": _devices,
    "members": _members,
}
MORE: dict[Limit, Callable[[Limits], str]] = {
    "leads": lambda limits: f"holds {grouped(limits.leads)} leads",
    "connections": lambda limits: f"includes {_counted(limits.connections, 'SmartLead account')}",
    "devices": lambda limits: f"has {_counted(limits.devices, 'device')}",
    "members": lambda limits: f"is for {limits.members} people",
    "history_days": _further,
}
