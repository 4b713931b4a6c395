"""A model in TFLite-Micro's own interpreter on this machine, and the smallest arena that it works in.

Each run is a process of its own: with an arena far too small the interpreter does not fail, it crashes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import GateError, UsageError

PACKAGE = "tflite-micro"
# Sections of an arena begin at multiples of it.
ALIGNMENT = 16
_PLENTY = 16 * 1024 * 1024
_TIMEOUT_S = 600.0

_CHILD = """
import sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
model, inputs, outputs, arena = sys.argv[1:]
interpreter = runtime.Interpreter.from_bytes(open(model, "rb").read(), arena_size=int(arena))
found = []
for values in np.load(inputs):
    interpreter.set_input(values, 0)
    interpreter.invoke()
    found.append(interpreter.get_output(0).copy())
np.save(outputs, np.stack(found))
interpreter.print_allocations()
"""


@dataclass(frozen=True, eq=False)
class MicroRun:
    """What came out, and how much of the arena was in use."""

    outputs: NDArray[np.int8]
    used_bytes: int


def micro_version() -> str:
    """Return the version of TFLite-Micro here.

    Raises
    ------
    UsageError
        When it is not installed.

    """
    try:
        if find_spec("tflite_micro") is None:
            raise PackageNotFoundError
        return version(PACKAGE)
    except PackageNotFoundError:
        raise UsageError(
            "The arena that a microcontroller needs cannot be found here: TFLite-Micro is not installed.",
            why="It is published for x86-64 Linux only, and not yet for every version of Python.",
            remedy=f"pip install {PACKAGE}   (Python 3.11 or 3.12 on x86-64 Linux)",
        ) from None


def run_micro(model: bytes, inputs: NDArray[np.int8], arena_bytes: int = _PLENTY) -> MicroRun:
    """Run (n, …) inputs through an int8 model.

    Raises
    ------
    GateError
        When TFLite-Micro refuses the model or the arena, or crashes.

    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "model.tflite").write_bytes(model)
        np.save(place / "inputs.npy", inputs)
        paths = [str(place / name) for name in ("model.tflite", "inputs.npy", "outputs.npy")]
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, *paths, str(arena_bytes)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise GateError(
                f"TFLite-Micro does not run the model in an arena of {arena_bytes} bytes.",
                why=lines[-1] if lines and done.returncode > 0 else "It crashed.",
            )
        outputs: NDArray[np.int8] = np.load(place / "outputs.npy")
    used = re.search(r"Arena allocation total (\d+) bytes", done.stdout + done.stderr)
    if used is None:
        raise GateError("TFLite-Micro does not tell how much of the arena it used.")
    return MicroRun(outputs, int(used[1]))


def smallest_arena(
    model: bytes, inputs: NDArray[np.int8], expected: NDArray[np.int8], used_bytes: int
) -> int:
    """Find the smallest arena, a multiple of 16 bytes, in which inputs give the expected outputs.

    Parameters
    ----------
    model, inputs:
        As in :func:`run_micro`.
    expected:
        What they give in an arena that is large enough.
    used_bytes:
        What was in use then: a little more than that is needed while the memory is planned.

    """
    enough, step = -(-used_bytes // ALIGNMENT), 1
    while not _works(model, inputs, expected, enough * ALIGNMENT):
        enough, step = enough + step, 2 * step
    too_small, step = enough - 1, 1
    while _works(model, inputs, expected, too_small * ALIGNMENT):
        too_small, enough, step = max(too_small - step, 1), too_small, 2 * step
    while enough - too_small > 1:
        middle = (enough + too_small) // 2
        if _works(model, inputs, expected, middle * ALIGNMENT):
            enough = middle
        else:
            too_small = middle
    return enough * ALIGNMENT


def _works(model: bytes, inputs: NDArray[np.int8], expected: NDArray[np.int8], arena_bytes: int) -> bool:
    try:
        return bool(np.array_equal(run_micro(model, inputs, arena_bytes).outputs, expected))
    except GateError:
        return False
