"""Which machine a number was measured on; without it a latency means nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from .._version import __version__


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader of a benchmark wants to know."""

    model: str
    architecture: str
    cores: int
    system: str
    python: str
    edge_ecg: str


def this_machine() -> Machine:
    """Describe the machine that runs this."""
    return Machine(
        model=_board() or _processor() or "unknown",
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        edge_ecg=__version__,
    )


def resident_mb() -> float | None:
    """Resident memory of this process in MB (1e6 bytes); None where the system does not tell."""
    for line in _lines("/proc/self/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None


def _board() -> str:
    # A Raspberry Pi says "Raspberry Pi 4 Model B Rev 1.5" here, with a zero byte at the end.
    return "".join(_lines("/proc/device-tree/model")).strip("\0 ")


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return []
