"""What Harbor says of leads and backfills, in words for people."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format

from leads.models import Backfill, Category, Connection, Import
from saas.wording import duration

State, Wait, Phase = Backfill.State, Backfill.Wait, Backfill.Phase

STATUSES = {
    "STARTED": ("Not mailed yet", "grey"),
    "INPROGRESS": ("In progress", "blue"),
    "COMPLETED": ("Completed", "grey"),
    "PAUSED": ("Paused", "amber"),
    "STOPPED": ("Stopped", "grey"),
    "BLOCKED": ("Blocked", "red"),
}
TONES = {
    State.PLANNED: "grey",
    State.RUNNING: "blue",
    State.PAUSED: "amber",
    State.PARKED: "amber",
    State.CANCELLED: "grey",
    State.FINISHED: "green",
    State.FAILED: "red",
}
# SmartLead's own, until a brand's are fetched.
CATEGORIES = {
    1: "Interested",
    2: "Meeting Request",
    3: "Not Interested",
    4: "Do Not Contact",
    5: "Information Request",
    6: "Out Of Office",
    7: "Wrong Person",
    8: "Uncategorizable",
    9: "Sender-Originated Bounce",
}
# Minutes between regular updates.
PACES = {
    15: "Every 15 minutes",
    60: "Every hour",
    360: "Every 6 hours",
    1440: "Once a day",
    0: "Never",
}
BAR_TONES = {State.PAUSED: "grey", State.PARKED: "amber", State.FAILED: "red",
             State.FINISHED: "green"}  # fmt: skip


@dataclass(frozen=True)
class Now:
    """What a backfill is doing: a sentence, its tone, and whether a larger plan would help."""

    text: str
    tone: str = "blue"
    upgrade: bool = False
    reconnect: bool = False


_SLOT = Now("Waiting for a free slot. It goes on {when}.")
# {when} is "in 20 s" or "at 14:32", {limit} the brand's calls a minute.
WAITS = {
    Wait.WINDOW: Now("Your limit of {limit} calls a minute is used up. It goes on {when}."),
    Wait.IN_FLIGHT: _SLOT,
    Wait.COORDINATION: _SLOT,
    Wait.VENDOR: Now("SmartLead asked us to slow down. It goes on by itself {when}.", "amber"),
    Wait.BREAKER: Now(
        "We couldn't reach SmartLead several times. We try again by ourselves {when}.", "amber"
    ),
    Wait.FAULT: Now("SmartLead gave us a faulty answer. We ask again {when}.", "amber"),
    Wait.TRIAL_EXPIRED: Now(
        "Your trial has ended, so no new leads come in for now.",
        "amber",
        upgrade=True,
    ),
    Wait.QUOTA_EXCEEDED: Now(
        "Your plan is full, so new leads are left out for now.",
        "amber",
        upgrade=True,
    ),
    Wait.SUSPENDED: Now(
        "Your subscription is not active, so no new leads come in for now.",
        "amber",
        upgrade=True,
    ),
    Wait.BAD_KEY: Now(
        "SmartLead no longer accepts your API key. Enter a new one, and it goes on by itself.",
        "red",
        reconnect=True,
    ),
}


def status(code: str) -> tuple[str, str]:
    """Return a lead's status as words and a tone; unknown codes are shown as they came."""
    return STATUSES.get(code, (code.capitalize() or "No status", "grey"))


def categories() -> dict[int, str]:
    """Return the names of the brand's categories by SmartLead's id; in the brand's scope."""
    own = Category.objects.order_by("remote_id").values_list("remote_id", "name")[:200]
    return CATEGORIES | dict(own)


def category(number: int, names: dict[int, str]) -> str:
    """Return a category's name; one that SmartLead has not named to us yet is shown by number."""
    return names.get(number, f"Category {number}")


def now_line(backfill: Backfill, now: datetime) -> Now:
    """Say what the backfill does now, what it waits for, and how it goes on."""
    if backfill.kind == Backfill.Kind.SYNC and backfill.state in SYNC_ENDS:
        return Now(*SYNC_ENDS[State(backfill.state)])
    match backfill.state:
        case State.PLANNED:
            return Now("Nothing has been fetched yet. Start it when you like.", "grey")
        case State.PAUSED:
            return Now("You paused it. It goes on from the same place when you resume it.", "amber")
        case State.CANCELLED:
            return Now("Cancelled. What was fetched until then is in your leads.", "grey")
        case State.FINISHED:
            return Now(
                "Done. Every lead that SmartLead gave us is here, with the messages that your plan"
                " includes.",
                "green",
            )
        case State.FAILED:
            return Now(
                "It stopped because of a fault on our side. We have been told, and nothing that was"
                " fetched is lost. You can start a new one.",
                "red",
            )
    return _waiting(backfill, now) if backfill.wait else _working(backfill)


SYNC_ENDS = {
    State.FINISHED: ("Done. You have what SmartLead had when it began.", "green"),
    State.CANCELLED: ("It made way. The next update asks for the same again.", "grey"),
}


def _working(backfill: Backfill) -> Now:
    if backfill.kind == Backfill.Kind.SYNC:
        if backfill.phase == Phase.LEADS:
            return Now("Asking SmartLead for new leads, and for leads that something happened to.")
        return Now("Fetching the messages of those leads, replies first.")
    if backfill.phase == Phase.LEADS:
        return Now("Fetching your leads, 100 at a time.")
    return Now("Your leads are here. Fetching their messages, replies first.")


def updates_line(connection: Connection, live: Backfill | None, now: datetime) -> str:
    """Say how what is new comes in after the first backfill, and when it is looked for next."""
    if connection.synced_at is None:
        return "After your first backfill we fetch what is new by ourselves."
    if not connection.sync_every:
        return "Regular updates are off. Live updates still come in, if you have set them up."
    pace = PACES.get(connection.sync_every, f"Every {connection.sync_every} minutes").lower()
    said = f"We ask SmartLead {pace} for new leads, replies and categories."
    if live and live.kind == Backfill.Kind.SYNC:
        return f"{said} An update is under way."
    if live and live.state != State.PLANNED and not live.waits_for_room:
        return f"{said} The next update waits until your backfill has ended."
    return f"{said} The next update starts {_when(connection.sync_due_at, now)}."


def _waiting(backfill: Backfill, now: datetime) -> Now:
    said = WAITS.get(Wait(backfill.wait), Now("Waiting. It goes on {when}."))
    limit = backfill.connection.calls_per_minute
    return replace(said, text=said.text.format(when=_when(backfill.due_at, now), limit=limit))


def _when(due: datetime | None, now: datetime) -> str:
    if due is None or due <= now:
        return "in a moment"
    seconds = (due - now).total_seconds()
    if seconds < 90:
        return f"in {max(1, round(seconds))} s"
    return f"at {date_format(timezone.localtime(due), 'H:i')}"


IMPORTS = {
    Import.State.UPLOADING: Now("The file is on its way to us.", "blue"),
    Import.State.MAPPING: Now("The file is here. Say what its columns are.", "grey"),
    Import.State.CHECKING: Now("Reading every row. Nothing is changed yet.", "blue"),
    Import.State.CHECKED: Now("Nothing has been changed yet. Start it when you like.", "amber"),
    Import.State.RUNNING: Now("Bringing your leads in. You can close this page.", "blue"),
    Import.State.FINISHED: Now("Done. What could be taken in is in your leads.", "green"),
    Import.State.CANCELLED: Now("Cancelled. Leads that came in before are still here.", "grey"),
    Import.State.FAILED: Now(
        "It stopped because of a fault on our side. We have been told. Leads that came in before"
        " are still here, and the same file can be imported again.",
        "red",
    ),
}


@dataclass(frozen=True)
class Reading:
    """How far an import has read its file: in rows, or in KB while it counts them."""

    value: int
    goal: int
    note: str


def import_line(job: Import) -> Now:
    """Say what the import does now, or how it ended."""
    return IMPORTS[Import.State(job.state)]


def import_progress(job: Import, now: datetime | None = None) -> Reading:
    """Say how far the reading is and, once measured, how long it still takes."""
    checking = job.state == Import.State.CHECKING
    took = ((now or timezone.now()) - job.pass_at).total_seconds() if job.pass_at else 0.0
    note = ""
    if job.state in Import.CARRIED and job.position and took > 3:
        rows = job.rows if checking else job.done
        left = took * (job.size - job.position) / job.position
        note = f"{round(rows / took)} rows a second, about {duration(left)} left"
    if checking:
        return Reading(job.position // 1000, job.size // 1000, note)
    return Reading(job.done, job.rows, note)
