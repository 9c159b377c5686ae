"""What Harbor says of changes of many leads, in words for people."""

from __future__ import annotations

from datetime import datetime

from leads.models import BulkJob
from saas.charts import grouped
from saas.wording import duration

What, State = BulkJob.What, BulkJob.State

TONES = {
    State.RUNNING: "blue",
    State.FINISHED: "green",
    State.CANCELLED: "grey",
    State.FAILED: "red",
    State.UNDOING: "blue",
    State.UNDONE: "grey",
}
TITLES = {
    What.CATEGORY: "Set the category to {label}",
    What.TAG: "Add the tag {label}",
    What.UNTAG: "Remove the tag {label}",
    What.DELETE: "Delete leads",
}
DONE = {
    What.CATEGORY: "{n} got the category.",
    What.TAG: "{n} got the tag.",
    What.UNTAG: "{n} lost the tag.",
    What.DELETE: "{n} deleted, with their messages.",
}
ALREADY = {
    What.CATEGORY: " The others had it already.",
    What.TAG: " The others had it already.",
    What.UNTAG: " The others didn't have it.",
    What.DELETE: " The others were gone already.",
}


def title(job: BulkJob) -> str:
    return TITLES[What(job.what)].format(label=f"“{job.label}”")


def line(job: BulkJob) -> str:
    """Say what the job does now, or how it ended."""
    n = leads(job.changed)
    match job.state:
        case State.RUNNING:
            return "Counting the leads." if job.total is None else "Going through the leads."
        case State.UNDOING if job.what == What.DELETE:
            return "Letting the deleted leads back in."
        case State.UNDOING:
            return "Putting everything back as it was."
        case State.UNDONE if job.what == What.DELETE:
            return (
                "The deleted leads may come back. The next backfill brings in those at SmartLead."
            )
        case State.UNDONE:
            return f"Taken back for {leads(job.undone)}. What somebody changed since stayed."
        case State.CANCELLED:
            return f"Cancelled. {DONE[What(job.what)].format(n=n)}"
        case State.FAILED:
            return (
                "It stopped because of a fault on our side. We have been told. What was changed"
                f" until then stays: {n}."
            )
    what = What(job.what)
    return DONE[what].format(n=n) + (ALREADY[what] if job.seen > job.changed else "")


def pace(job: BulkJob, now: datetime) -> str:
    """Say how fast the job is and how long it still takes; "" until that is known."""
    took = (now - job.created_at).total_seconds()
    if job.state != State.RUNNING or not job.seen or job.total is None or took <= 0:
        return ""
    left = took * max(job.total - job.seen, 0) / job.seen
    return f"{grouped(round(job.seen / took))} leads a second, about {duration(left)} left"


def undo_label(job: BulkJob) -> str:
    return "Let them come back" if job.what == What.DELETE else "Undo"


def leads(count: int) -> str:
    return f"{grouped(count)} lead{'' if count == 1 else 's'}"
