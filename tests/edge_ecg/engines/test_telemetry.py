"""No engine reports to anybody: nothing is written below the home, no socket to the network is opened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ecg.engines.registry import ENGINES

# An audit hook sees Python's own sockets only; the engines are C++. The kernel knows of all.
SCRIPT = """
import os, sys
from edge_ecg.model import load_model
import numpy as np
model = load_model(sys.argv[1], sys.argv[2])
model.embed(np.zeros((1, 2560), np.float32))
for name in os.listdir("/proc/self/fd"):
    path = f"/proc/self/fd/{name}"
    assert not (os.path.islink(path) and os.readlink(path).startswith("socket:"))
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_keeps_to_itself(engine: str, bundle_path: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(bundle_path), engine],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
