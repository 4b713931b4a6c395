"""What all tests share: where the open recordings lie."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Before NumPy is imported: tests multiply many small matrices, and BLAS threads would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

# A background job starts with Ctrl-C ignored, one under nohup with a hang-up ignored, and children inherit
# that; those of the tests must not.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def _nobody_is_trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests do not depend on whom the machine trusts that they run on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGE_ECG_TRUSTED_KEYS", str(tmp_path_factory.mktemp("trusted_keys")))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of open recordings, by the environment variable EDGE_ECG_DATA."""
    root = os.environ.get("EDGE_ECG_DATA")
    if not root:
        pytest.skip("EDGE_ECG_DATA is not set: this test needs the folder of open recordings (docs/data.md)")
    return Path(root)
