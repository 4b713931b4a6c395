"""A made-up machine's files and commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_ecg.health import Check, Status

NOW = 1_800_000_000.0  # 2027
GOOD = {
    "numpy": "2.1.0",
    "samplerate": "0.2.4",
    "pyserial": "3.5",
    "rich": "14.0.0",
    "cryptography": "48.0.0",
    "bleak": "3.1.0",
    "ai-edge-litert": "2.1.0",
}


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def commands(known: dict[str, str]) -> Any:
    def command(words: Sequence[str]) -> str | None:
        return known.get(" ".join(words))

    return command


def expect(check: Check | None, status: Status, *words: str) -> None:
    assert check is not None
    assert check.status is status
    for word in words:
        assert word in f"{check.sentence} | {check.remedy}"
    if status in (Status.WARN, Status.FAIL):
        assert check.remedy
