"""What a bench returns, and how it is judged."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Number = float | int


@dataclass(frozen=True)
class Result:
    """`figures` are ours; `limit` is what they are held against: a peer or a bound, measured in the
    same run. `ratios` compare them, larger is better; `reach` names the least each must be."""

    bench: str
    figures: dict[str, Number]
    limit: dict[str, Number]
    ratios: dict[str, float]
    reach: dict[str, float]
    machine: dict[str, Any] = field(default_factory=lambda: machine())

    def missed(self) -> list[str]:
        """The ratios below their reach, in words. A reach without a ratio is a miss too."""
        return [
            f"{name} is {self.ratios.get(name, 0):.2f} and must reach {least:.2f}"
            for name, least in self.reach.items()
            if not self.ratios.get(name, 0) >= least
        ]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def machine() -> dict[str, Any]:
    """What else decides the figures: the processor, its cores, and how busy it was."""
    names = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (row.split(":", 1)[1].strip() for row in names.splitlines() if "model name" in row), ""
    )
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
    }
