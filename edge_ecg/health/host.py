"""The machine that the checks look at: files, commands, packages and clocks, each replaceable in a test."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

_COMMAND_TIMEOUT_S = 1.0
# The kernel's own name of what /proc links to; a container or a locked-down service may show only one.
_DEVICE_TREE, _DEVICE_TREE_IN_SYS = "proc/device-tree/", "sys/firmware/devicetree/base/"


def run_command(words: Sequence[str]) -> str | None:
    """Return what a command printed; None when it is missing, fails, or takes longer than a second."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=True, errors="replace"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def package_version(name: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def liblsl_version() -> str:
    """Return the version of the library behind pylsl; DeviceError when it cannot be loaded."""
    from ..sources.lsl_link import load_pylsl

    version = int(load_pylsl().library_version())
    return f"{version // 100}.{version % 100}"


def free_bytes(path: Path) -> int:
    """Return how much room is left on the disk of ``path``."""
    return shutil.disk_usage(path).free


@dataclass(frozen=True, slots=True)
class Host:
    """Everything that a check may ask; the defaults are this machine.

    Attributes
    ----------
    root:
        Where ``sys``, ``proc``, ``dev``, ``etc`` and ``run`` lie.
    folder:
        Where recordings would be written.
    python:
        Version of the interpreter.
    pointer_bits:
        64, or 32 in a 32-bit userland.
    architecture:
        The kernel's.
    groups:
        The numbers of this process's groups; None where the system has none.
    user:
        The number of the user; 0 may do everything.
    bluetooth_sockets:
        Whether Python knows RFCOMM sockets.
    command, package, liblsl, clock, free:
        Run a command, look up a package's version, load liblsl, seconds since 1970, room on a disk.

    """

    root: Path = Path("/")
    folder: Path = field(default_factory=Path.cwd)
    python: tuple[int, int] = sys.version_info[:2]
    pointer_bits: int = 8 * struct.calcsize("P")
    architecture: str = field(default_factory=platform.machine)
    groups: frozenset[int] = field(default_factory=lambda: frozenset(os.getgroups()))
    user: int = field(default_factory=os.geteuid)
    bluetooth_sockets: bool = hasattr(socket, "AF_BLUETOOTH") and hasattr(socket, "BTPROTO_RFCOMM")
    command: Callable[[Sequence[str]], str | None] = run_command
    package: Callable[[str], str | None] = package_version
    liblsl: Callable[[], str] = liblsl_version
    clock: Callable[[], float] = time.time
    free: Callable[[Path], int] = free_bytes

    def read(self, path: str | Path) -> str | None:
        """Return the text of a file below the root or from ``glob``; None when it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").strip("\0 \n\t")
        except OSError:
            if isinstance(path, str) and path.startswith(_DEVICE_TREE):
                return self.read(_DEVICE_TREE_IN_SYS + path.removeprefix(_DEVICE_TREE))
            return None

    def glob(self, pattern: str) -> list[Path]:
        """Return the paths below the root that match, in order."""
        return sorted(self.root.glob(pattern))

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return (self.root / path).exists()

    @property
    def is_pi(self) -> bool:
        """Whether this is a Raspberry Pi."""
        return "Raspberry Pi" in (self.read("proc/device-tree/model") or "")

    def runs(self, program: str) -> bool:
        """Whether a process of this name (its first 15 letters count) runs."""
        return program[:15] in (self.read(path) for path in self.glob("proc/[0-9]*/comm"))
