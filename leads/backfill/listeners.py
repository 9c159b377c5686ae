"""What other apps tell the backfills."""

from __future__ import annotations

from billing import entitlements
from leads.backfill import sweep
from saas.tenancy import scope


def rights_changed(brand_id: int) -> None:
    """Resume a run that was parked for want of rights. The sweep does the same, later."""
    with scope(brand_id):
        sweep.resume_if_admitted(brand_id, entitlements.of(brand_id))
