"""The program is killed before each step of each change; the old or the new release counts, and is whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]


def test_killed_before_every_step_of_every_change(memory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.edge_ecg.deploy.crashes", str(memory)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    steps = {one["change"]: one["steps"] for one in found}
    assert len(steps) == 16
    assert min(steps.values()) >= 4
    # Known so that a change that is made without the disk's steps, and so untested, is noticed.
    assert sum(steps.values()) > 250
