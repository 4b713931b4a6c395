"""Run a command as on a Raspberry Pi, with this checkout's edge-ecg installed:

python -m tests.arm64 pi4 bookworm python3 -m edge_ecg doctor
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from . import wheels
from .boards import BOARDS
from .host import AbsentError
from .rootfs import SUITES
from .system import System


def main() -> int:
    """Run the command and return its exit code; 2 where this host cannot emulate."""
    parser = argparse.ArgumentParser(prog="python -m tests.arm64")
    parser.add_argument("board", choices=list(BOARDS))
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("command", nargs=argparse.REMAINDER, help="left out: a shell")
    args = parser.parse_args()
    # Not below /tmp, which may be memory.
    with tempfile.TemporaryDirectory(prefix="edge-ecg-arm64-", dir="/var/tmp") as work:
        folder = Path(work)
        try:
            system = System.build(args.suite, folder / "own", wheels.build_wheel(folder / "wheel"))
        except AbsentError as error:
            print(f"cannot run here: {error}", file=sys.stderr)
            return 2
        machine = system.on(BOARDS[args.board], folder)
        return subprocess.run(machine.command(*(args.command or ["bash"])), check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
