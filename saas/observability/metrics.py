"""Prometheus metrics of all processes of a machine, and gauges that are read at the scrape.

Web and worker processes write to files under PROMETHEUS_MULTIPROC_DIR; /metrics adds them up. Facts
that live in the database (queues, inbox, backfills) are asked at the scrape by functions that the
apps register, at most once in GAUGES_KEPT seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import redis
import structlog
from celery.signals import task_postrun, task_prerun
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from saas import valkey
from saas.celery import QUEUES
from saas.tenancy import everyone

log = structlog.get_logger(__name__)
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

REQUESTS = Histogram(
    "harbor_request_seconds", "Web requests", ["method", "route", "status"], buckets=SECONDS
)
TASKS = Histogram("harbor_task_seconds", "Celery tasks", ["task", "state"], buckets=SECONDS)
OUTBOUND = Histogram(
    "harbor_outbound_seconds", "Calls of vendors", ["service", "outcome"], buckets=SECONDS
)
WAKES_LOST = Counter("harbor_wakes_lost_total", "Wake-ups that the broker did not take")


@dataclass(frozen=True)
class Gauge:
    """One number at the scrape; `labels` tell its siblings apart."""

    name: str
    help: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)


GaugeSource = Callable[[], Iterable[Gauge]]
GAUGES_KEPT = 10.0
_sources: list[GaugeSource] = []
_kept: tuple[float, list[Gauge]] = (0.0, [])


def gauges(source: GaugeSource) -> None:
    """Register a function that reads gauges; it runs under everyone(), at the scrape."""
    _sources.append(source)


def _read() -> list[Gauge]:
    global _kept
    if time.monotonic() - _kept[0] > GAUGES_KEPT or not _kept[1]:
        with everyone("metrics"):
            found = [gauge for source in _sources for gauge in source()]
        _kept = (time.monotonic(), [*found, *_queues()])
    return _kept[1]


def _queues() -> Iterator[Gauge]:
    for queue in QUEUES:
        try:
            waiting = valkey.client().llen(f"celery:{queue}")
        except redis.RedisError as e:
            log.warning("metrics.queue_unreadable", queue=queue, error=str(e))
            return
        yield Gauge("harbor_queue_messages", "Waiting messages", float(waiting), {"queue": queue})


class _Gauges(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for gauge in _read():
            family = families.setdefault(
                gauge.name, GaugeMetricFamily(gauge.name, gauge.help, labels=list(gauge.labels))
            )
            family.add_metric(list(gauge.labels.values()), gauge.value)
        yield from families.values()


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Gauges())
    return generate_latest(registry)


_began: dict[str, float] = {}


@task_prerun.connect
def _task_begins(task_id: str, **_: object) -> None:
    _began[task_id] = time.perf_counter()


@task_postrun.connect
def _task_ends(task_id: str, task: object, state: str | None = None, **_: object) -> None:
    began = _began.pop(task_id, None)
    if began is not None:
        name = getattr(task, "name", "unknown")
        TASKS.labels(name, state or "unknown").observe(time.perf_counter() - began)
