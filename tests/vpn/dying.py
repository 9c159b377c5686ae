"""Takes a node's report and dies by SIGKILL at a given point of it (see tests.billing.dying).

Reads {"database": name, "server": id, "report": what the agent sent, "point": name} lines.
"""

from __future__ import annotations

from typing import Any

from tests.billing.dying import after, before, serve

POINTS = ("counted, not billed", "before the commit", "after it")


def arm(point: str) -> None:
    """Put the death where `point` says."""
    from billing import usage
    from vpn import metering

    if point == "counted, not billed":
        before(usage, "count")
    elif point == "before the commit":
        after(usage, "count")
    else:
        after(metering, "record")


def take(database: str, server: int, report: dict[str, Any], point: str) -> None:
    from django.db import connections

    from vpn import metering, reports
    from vpn.models import Server

    connections.settings["default"]["NAME"] = database
    arm(point)
    metering.record(Server.objects.get(pk=server), reports.parse(report))


if __name__ == "__main__":
    serve(take)
