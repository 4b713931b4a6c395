"""What all tests share: where the open recordings lie."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

# Before NumPy is imported: tests multiply many small matrices, and BLAS threads would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As the runtime does before it loads ONNX Runtime: no reports to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import hypothesis
import pytest

# How long an example takes says how busy the machine is; a hang is what pytest-timeout is for.
hypothesis.settings.register_profile("edge-ecg", deadline=None)
hypothesis.settings.load_profile("edge-ecg")

# Tests do not depend on whom the machine trusts that they run on, nor do the processes that they start.
_NOBODY = tempfile.mkdtemp(prefix="edge-ecg-trusted-keys-")
atexit.register(shutil.rmtree, _NOBODY, ignore_errors=True)
os.environ["EDGE_ECG_TRUSTED_KEYS"] = _NOBODY
# No test may touch the profiles and the index of whoever runs it.
os.environ["EDGE_ECG_HOME"] = tempfile.mkdtemp(prefix="edge-ecg-home-")
atexit.register(shutil.rmtree, os.environ["EDGE_ECG_HOME"], ignore_errors=True)

# A background job starts with Ctrl-C ignored, one under nohup with a hang-up ignored, and children inherit
# that; those of the tests must not.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of open recordings, by the environment variable EDGE_ECG_DATA."""
    root = os.environ.get("EDGE_ECG_DATA")
    if not root:
        pytest.skip("EDGE_ECG_DATA is not set: this test needs the folder of open recordings (docs/data.md)")
    return Path(root)
