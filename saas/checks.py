"""Start-up refusals (Django system checks): what must not run does not start."""

from __future__ import annotations
