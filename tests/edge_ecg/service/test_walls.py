"""What the unit forbids does not keep the engines from their work: asked of this kernel itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_ecg.bundle import Manifest

# prctl(2): PR_SET_MDWE with PR_MDWE_REFUSE_EXEC_GAIN, which systemd uses for MemoryDenyWriteExecute= since
# 254 (before, a filter of system calls that refuses the same).
SCRIPT = """
import ctypes, mmap, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(65, 1, 0, 0, 0) != 0:
    print("this kernel has no PR_SET_MDWE")
    sys.exit(77)
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    pass
else:
    raise SystemExit("the wall does not stand")
from edge_ecg.bench import check_engine
from edge_ecg.bundle import Golden
from edge_ecg.model import load_model
model = load_model(sys.argv[1], sys.argv[2])
assert check_engine(model, Golden.from_bundle(model.bundle)).passed
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="memory that is never both written and run is asked of Linux"
)
@pytest.mark.parametrize(
    "engine",
    [
        "litert-int8",
        "onnx-int8",
        pytest.param("litert-fp32", marks=pytest.mark.slow),
        pytest.param("onnx-fp32", marks=pytest.mark.slow),
    ],
)
def test_engines_run_without_memory_that_is_written_and_run(
    engine: str, bundle_path: Path, manifest: Manifest
) -> None:
    assert engine in manifest.engines
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(bundle_path), engine],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr
