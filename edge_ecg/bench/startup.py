"""Cold start: from nothing to the first decision, in a fresh process, and the memory that it then holds."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from ..errors import GateError

# The clock is the system's own since boot, the same in both processes, so starting Python counts too.
_CHILD = """
import sys, time
started, path, engine, trust = float(sys.argv[1]), sys.argv[2] or None, *sys.argv[3:]
from edge_ecg.model import load_model
model = load_model(path, engine, untrusted=trust == "untrusted")
loaded = time.monotonic()
import numpy
model.predict(numpy.zeros((1, 2560), numpy.float32))
done = time.monotonic()
import json
from edge_ecg.bench.machine import memory_mb
print(json.dumps([loaded - started, done - started, *memory_mb()]))
"""


@dataclass(frozen=True, slots=True)
class Startup:
    """Seconds from starting Python to a loaded model and to its first decision; memory of that process.

    Times are the median of so many ``starts``. What the system keeps in memory of the files (the page cache)
    is left as it is: the first start after switching on takes longer.
    """

    loaded_s: float
    first_decision_s: float
    rss_mb: float | None
    peak_rss_mb: float | None
    starts: int


def measure_startup(
    bundle: str | None, engine: str, *, starts: int = 1, untrusted: bool = False, timeout_s: float = 120.0
) -> Startup:
    """Start a fresh Python that loads a bundle (None: the one that comes along) and decides once.

    ``untrusted`` as for :func:`edge_ecg.load_model`.

    Raises
    ------
    GateError
        When that process fails.

    """
    found = [_start(bundle, engine, timeout_s, untrusted=untrusted) for _ in range(starts)]
    return Startup(
        loaded_s=statistics.median(one.loaded_s for one in found),
        first_decision_s=statistics.median(one.first_decision_s for one in found),
        rss_mb=found[-1].rss_mb,
        peak_rss_mb=found[-1].peak_rss_mb,
        starts=starts,
    )


def _start(bundle: str | None, engine: str, timeout_s: float, *, untrusted: bool) -> Startup:
    trust = "untrusted" if untrusted else "trusted"
    command = [sys.executable, "-c", _CHILD, repr(time.monotonic()), bundle or "", engine, trust]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=True)
        loaded_s, first_s, rss_mb, peak_mb = json.loads(child.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        # Of a process that was too slow they are bytes, whatever was asked for, and no reason.
        stderr = getattr(error, "stderr", None)
        said = stderr.strip() if isinstance(stderr, str) else ""
        raise GateError(
            f"A fresh process could not load the model in the engine {engine!r}.",
            why=said.splitlines()[-1] if said else _why(error),
        ) from error
    return Startup(loaded_s, first_s, rss_mb, peak_mb, 1)


def _why(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"It was not done after {error.timeout:g} s."
    return str(error)
