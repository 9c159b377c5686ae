"""Runs of periodic work, as staff see them."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class JobRun(models.Model):
    """One run of a periodic job. A run without `finished_at` is under way, or was killed."""

    name = models.CharField(max_length=80)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)
    ok = models.BooleanField(null=True)
    detail = models.TextField(blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["name", "-started_at"], name="jobrun_name_started")]

    def __str__(self) -> str:
        return f"{self.name} at {self.started_at:%Y-%m-%d %H:%M}"
