"""What came out of each check: on the screen, kept between runs, and as a page of documentation."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PASSED, FAILED = "passed", "FAILED"


class Results:
    """The results in a file, one JSON object by name of a check.

    Parameters
    ----------
    path:
        The file; what stands there from an earlier run stays until its check runs again.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}

    def run(self, name: str, shows: str, check: Callable[[], str]) -> bool:
        """Run a check, which returns what it saw or raises; keep and print what came out."""
        print(f"{time.strftime('%H:%M:%S')}  {name} ...", flush=True)
        started = time.monotonic()
        try:
            outcome, saw = PASSED, check()
        except Exception as error:
            traceback.print_exc()
            outcome, saw = FAILED, _sentence(error)
        emulated_s = round(time.monotonic() - started)
        before = self.found.pop(name, None)
        if outcome == PASSED and before is not None and before["outcome"] != PASSED:
            saw += f"; an earlier try failed: {before['saw']}"
        self.found[name] = {"shows": shows, "outcome": outcome, "saw": saw, "emulated_s": emulated_s}
        self._path.write_text(json.dumps(self.found, indent=1))
        print(f"{time.strftime('%H:%M:%S')}  {name}: {outcome} after {emulated_s} s: {saw}", flush=True)
        return outcome == PASSED

    def page(self, about: dict[str, str], notes: Sequence[str] = ()) -> str:
        """Return the results in Markdown; ``about`` tells when, where and with which versions."""
        lines = [
            "# A whole arm64 system, emulated",
            "",
            "Written by `python -m tests.arm64.vm --report docs/raspberry-pi-vm.md`; not edited by hand. The",
            "machine is QEMU's `virt` with two cores and 1 GiB, without KVM and without a way out of its",
            "network, on a disk of Debian's own packages. Seconds are those of a slow emulation on a busy",
            "host: they say nothing about a Raspberry Pi. No real board, radio or sensor was at hand.",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in about.items()),
            "",
            "| Check | What it shows | Result | What was seen | emulated s |",
            "|---|---|---|---|---|",
        ]
        for name, one in self.found.items():
            saw = one["saw"].replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {name} | {one['shows']} | {one['outcome']} | {saw} | {one['emulated_s']} |")
        failed = sum(one["outcome"] != PASSED for one in self.found.values())
        lines += ["", f"{len(self.found)} checks, {failed} failed."]
        lines += [line for note in notes for line in ("", note)]
        return "\n".join(lines) + "\n"


def _sentence(error: Exception) -> str:
    """The line of an error that says what happened: edge-ecg's own, if there is one, else the last."""
    lines = str(error).strip().splitlines() or [repr(error)]
    return next((line for line in lines if line.startswith("edge-ecg:")), lines[-1].strip())
