"""Celery's application for workers of a chaos run: `celery -A tests.chaos.app worker`.

The ceiling of calls a second of all brands together is lifted, for the whole table makes 200,000
calls. The limit of each account holds, and is what SmartLead's stand-in counts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from celery.signals import worker_init

from saas.celery import app

__all__ = ["app"]
LIFTED = 1_000


@worker_init.connect
def _lift_the_ceiling(**_: Any) -> None:
    from leads.smartlead import gate

    gate.CEILING = replace(gate.CEILING, calls=LIFTED)
