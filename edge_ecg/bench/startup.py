"""Cold start: from nothing to the first embedding, in a fresh process, and the memory it then holds."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from ..errors import GateError

# The clock is the system's own since boot, the same in both processes, so starting Python counts too.
_CHILD = """
import sys, time
started, path, engine = float(sys.argv[1]), sys.argv[2] or None, sys.argv[3]
from edge_ecg.model import load_model
model = load_model(path, engine)
loaded = time.monotonic()
import numpy
model.predict(numpy.zeros((1, 2560), numpy.float32))
done = time.monotonic()
import json
from edge_ecg.bench.machine import resident_mb
print(json.dumps([loaded - started, done - started, resident_mb()]))
"""


@dataclass(frozen=True, slots=True)
class Startup:
    """Seconds from starting Python to a loaded model and to its first decision; resident memory then."""

    loaded_s: float
    first_decision_s: float
    rss_mb: float | None


def measure_startup(bundle: str | None, engine: str, *, timeout_s: float = 120.0) -> Startup:
    """Start a fresh Python that loads a bundle (None: the one that comes along) and decides once.

    Raises
    ------
    GateError
        When that process fails.

    """
    command = [sys.executable, "-c", _CHILD, repr(time.monotonic()), bundle or "", engine]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=True)
        loaded_s, first_s, rss_mb = json.loads(child.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        stderr = getattr(error, "stderr", None) or str(error)
        raise GateError(
            f"A fresh process could not load the model in the engine {engine!r}.",
            why=stderr.strip().splitlines()[-1],
        ) from error
    return Startup(loaded_s, first_s, rss_mb)
