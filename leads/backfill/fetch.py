"""Make the calls of some jobs at once, in threads, outside any transaction.

A thread touches no database: it calls, parses, and hands back a Result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from leads.backfill.jobs import AllJob, CampaignsJob, CategoriesJob, HistoryJob, Job, PageJob
from leads.smartlead import client, parse
from leads.smartlead.gate import Pass
from saas.crypto import Sealed
from saas.errors import HarborError, Refused, Retryable
from saas.http import Answer


@dataclass(frozen=True, slots=True)
class Result:
    """A job and what came of it: `value` parsed (by the kind of job), or `error`."""

    job: Job
    value: Any = None
    error: HarborError | None = None
    asked_at: datetime = field(default_factory=timezone.now)


def fetch_all(work: Sequence[tuple[Job, Pass]], key: Sealed) -> list[Result]:
    """Make each call with its pass; return the results in the order of `work`. Never raises for
    what SmartLead did; the passes are always given back."""
    with ThreadPoolExecutor(max_workers=max(len(work), 1)) as pool:
        return list(pool.map(lambda pair: _fetch(pair[0], pair[1], key), work))


def _fetch(job: Job, leave: Pass, key: Sealed) -> Result:
    asked_at = timezone.now()
    try:
        return Result(job, leave.go(lambda: _call(job, key)), asked_at=asked_at)
    except (Refused, Retryable) as e:
        return Result(job, error=e, asked_at=asked_at)


def _call(job: Job, key: Sealed) -> tuple[Any, Answer]:
    """Call and parse in one: an answer of the wrong shape is a fault of the service too."""
    body, answer = _request(job, key)
    return _parser(job)(body), answer


def _request(job: Job, key: Sealed) -> tuple[Any, Answer]:
    match job:
        case CampaignsJob():
            return client.campaigns(key.reveal())
        case CategoriesJob():
            return client.categories(key.reveal())
        case AllJob():
            return client.all_leads(key.reveal(), job.below)
        case PageJob():
            return client.lead_page(key.reveal(), job.remote_id, job.offset, **job.filters)
        case HistoryJob():
            return client.message_history(key.reveal(), job.remote_id, job.remote_lead_id)


def _parser(job: Job) -> Callable[[Any], Any]:
    match job:
        case CampaignsJob():
            return parse.campaigns
        case CategoriesJob():
            return parse.categories
        case AllJob():
            return parse.all_page
        case PageJob():
            return parse.lead_page
        case HistoryJob():
            return parse.history
