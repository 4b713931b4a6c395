"""The command in a process of its own, with warnings as errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"}


def edge_ecg_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edge_ecg", *map(str, arguments)]


def call(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        edge_ecg_command(*arguments), capture_output=True, text=True, timeout=60, env=ENVIRONMENT, cwd=cwd
    )


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
