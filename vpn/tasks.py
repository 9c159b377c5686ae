"""Tasks of vpn."""

from __future__ import annotations

from celery import shared_task

from saas.jobs import job
from vpn import access


@shared_task(name="vpn.converge")
def converge(brand_id: int) -> None:
    """Bring a brand's devices in line with its plan. Safe to repeat."""
    access.converge(brand_id)


@shared_task(name="vpn.sweep")
def sweep() -> None:
    """Converge every brand: what a lost message or the mere passing of time left behind."""
    with job("vpn.sweep") as trace:
        trace.note(f"{access.sweep()} devices suspended, resumed or revoked")
