"""Build the whole system, boot it, run the checks, write their results.

    python -m tests.arm64.vm [--work DIR] [--only CHECK]... [--report docs/raspberry-pi-vm.md]

An hour on a quiet machine of two cores, ten minutes of it for the image, once. With ``--work`` of an earlier
run the disk is used on, so that single checks can be run again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from edge_ecg._version import __version__

from ..host import AbsentError, run
from .checks import CHECKS
from .device import Device
from .image import SUITE
from .machine import CPU, Machine
from .results import Results


def main() -> int:
    """Run the checks and return 0 when all passed, 1 when one failed, 2 where this host cannot."""
    parser = argparse.ArgumentParser(prog="python -m tests.arm64.vm")
    parser.add_argument("--work", type=Path, help="keep the disk and the results in this folder")
    parser.add_argument(
        "--only", action="append", choices=list(CHECKS), help="only this check; may be repeated"
    )
    parser.add_argument("--report", type=Path, help="write the results here, in Markdown")
    parser.add_argument("--note", action="append", default=[], help="a remark for that page")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edge-ecg-vm-", dir="/var/tmp") as temporary:
        work = args.work or Path(temporary)
        try:
            machine = Machine(work)
        except AbsentError as error:
            print(f"cannot run here: {error}", file=sys.stderr)
            return 2
        code = _run(machine, work, args.only or list(CHECKS))
        if args.report is not None:
            page = Results(work / "results.json").page(_about(), args.note)
            args.report.write_text(page, encoding="utf-8")
        return code


def _run(machine: Machine, work: Path, names: list[str]) -> int:
    results = Results(work / "results.json")
    device = Device(machine, work)
    try:
        if "boot" not in names:
            machine.boot()
        for name in names:
            check = CHECKS[name]
            results.run(name, " ".join((check.__doc__ or "").split()), lambda check=check: check(device))
    finally:
        machine.cut_power()
    return int(any(results.found[name]["outcome"] != "passed" for name in names))


def _about() -> dict[str, str]:
    emulator = run("qemu-system-aarch64", "--version", timeout_s=20).stdout.splitlines()[0]
    return {
        "Date": time.strftime("%Y-%m-%d"),
        "edge-ecg": __version__,
        "Emulator": f"{emulator}, -M virt -cpu {CPU} -smp 2 -m 1024, TCG",
        "System": f"Debian {SUITE}, arm64, Python 3.11",
    }


if __name__ == "__main__":
    raise SystemExit(main())
