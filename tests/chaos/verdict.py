"""Whether everything is here exactly once: rows against the sandbox's own data, counters against
rows, and nothing left over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.leads.conftest import Account

if TYPE_CHECKING:
    from tests.chaos.storm import Report
    from tests.chaos.world import World


def judge(made: World, report: Report, *, flushed: bool) -> None:
    """Fill in the figures and the discrepancies."""
    sums = dict.fromkeys(("leads", "places", "messages", "rejected", "calls_counted"), 0)
    for account in made.accounts:
        found = list(_rows(account, sums)) + list(_run(account))
        report.discrepancies += [f"{account.key}: {words}" for words in found]
    counted = made.sandbox.control("smartlead", "counters")
    faults: dict[str, int] = {}
    for one in counted["accounts"].values():
        for kind, times in one["faults"].items():
            faults[kind] = faults.get(kind, 0) + times
    report.figures |= sums | {
        "calls_answered": counted["allowed"],
        "calls_over_the_limit": counted["over"],
        "faults": faults,
    }
    if counted["over"] and not flushed:
        report.discrepancies.append(f"{counted['over']} calls over the limit")
    report.discrepancies += _leftovers()


def _rows(account: Account, sums: dict[str, int]) -> Iterator[str]:
    from billing.models import BillingAccount
    from saas.tenancy import scope
    from tests.leads.truth import held, truth  # it needs the models

    names = ("leads", "places", "messages")
    ours = held(account.brand)
    exported, partly = _exported(account)
    least: tuple[set[Any], ...] = truth(account.key, exported)
    # Where pages finished what an export began, either may have brought a row with a wrong type.
    most = truth(account.key, exported | partly) if partly else least
    for name, here, certain, possible in zip(names, ours, least, most, strict=True):
        sums[name] += len(here)
        once = set(here)
        if len(here) != len(once):
            yield f"{len(here) - len(once)} {name} twice"
        lost, invented = len(certain - once), len(once - possible)
        if lost or invented:
            yield f"{name}: {lost} lost, {invented} invented"
    emails, places, messages = ours
    run = account.run()
    sums["rejected"] += run.rejected
    sums["calls_counted"] += run.calls
    with scope(account.brand):
        used = BillingAccount.objects.get().leads_used
    counters = {
        "leads_used": (used, len(emails)),
        "leads_new": (run.leads_new, len(emails)),
        "messages_new": (run.messages_new, len(messages)),
        "history_done": (run.history_done, len(places)),
        "history_total": (run.history_total, len(places)),
    }
    yield from differing(counters)


def _exported(account: Account) -> tuple[set[int], set[int]]:
    """The campaigns that were read by their exports, and those that fell back to pages."""
    from leads.models import Cursor
    from saas.tenancy import scope

    with scope(account.brand):
        cursors = Cursor.objects.filter(backfill=account.run(), kind=Cursor.Kind.LEADS)
        numbers = cursors.values_list("campaign__remote_id", flat=True)
        return (
            set(numbers.filter(source=Cursor.Source.EXPORT)),
            set(numbers.filter(fell_back=True)),
        )


def _run(account: Account) -> Iterator[str]:
    from django.db.models import Sum

    from leads.backfill import progress
    from leads.models import Backfill, Cursor, Rate, Rejection
    from saas.tenancy import scope

    run = account.run()
    if (run.state, run.phase, run.wait) != ("finished", "done", ""):
        yield f"the run is {run.state} in {run.phase} {run.wait}: {run.last_error}"
    with scope(account.brand):
        open_ones = Cursor.objects.filter(backfill=run, state=Cursor.State.OPEN).count()
        bad = Cursor.objects.filter(backfill=run, kind="leads").exclude(state="done").count()
        rates = Rate.objects.filter(backfill=run).aggregate(
            calls=Sum("calls"), leads=Sum("leads"), messages=Sum("messages")
        )
        shown = progress.of(run)
        rows = sum(
            c.total or 0 for c in Cursor.objects.filter(backfill=run, kind=Cursor.Kind.LEADS)
        )
        yield from differing(
            {
                "runs": (Backfill.objects.count(), 1),
                "cursors open": (open_ones, 0),
                "cursors of leads not done": (bad, 0),
                "calls in the chart": (rates["calls"], run.calls),
                "leads in the chart": (rates["leads"], run.leads_seen),
                "leads read": (shown.leads_read, rows),
                "leads in all": (shown.leads_total, rows),
                "calls left": (shown.calls_left, 0),
                "rejected": (run.rejected, Rejection.objects.count()),
            }
        )


def _leftovers() -> Iterator[str]:
    from django.apps import apps

    from saas.leases import LeasedModel
    from saas.tenancy import everyone

    with everyone("chaos"):
        for model in apps.get_models():
            if issubclass(model, LeasedModel):
                held_still = model._base_manager.exclude(lease_until=None).count()
                if held_still:
                    yield f"{held_still} leases left of {model._meta.label}"


def differing(counters: dict[str, tuple[Any, Any]]) -> Iterator[str]:
    for name, (ours, right) in counters.items():
        if ours != right:
            yield f"{name} is {ours}, should be {right}"
