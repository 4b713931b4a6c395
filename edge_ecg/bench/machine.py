"""Which machine a number was measured on; without it a latency means nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from .._version import __version__
from ..health import Host
from .emulated import emulated, virtual_machine


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader of a benchmark wants to know.

    Attributes
    ----------
    model:
        The board (``Raspberry Pi 4 Model B Rev 1.5``), else the processor.
    revision:
        The board's revision code, such as ``c03115``; None where there is none.
    memory_mb:
        Memory that the system has, in MB (1e6 bytes).
    bits:
        Of the userland: 64, or 32 on a 64-bit kernel too.
    emulated:
        By what one can tell that it is; no time measured on it means anything.
    hypervisor:
        Who shares its processor; None on hardware of its own.

    """

    model: str
    revision: str | None
    architecture: str
    bits: int
    cores: int
    memory_mb: float | None
    os: str
    system: str
    python: str
    edge_ecg: str
    emulated: str | None
    hypervisor: str | None


def this_machine(host: Host | None = None) -> Machine:
    """Describe the machine that runs this, or the one given."""
    host = host or Host()
    return Machine(
        model=(host.read("proc/device-tree/model") or _field(host, "proc/cpuinfo", "model name"))
        or "unknown",
        revision=_field(host, "proc/cpuinfo", "Revision") or None,
        architecture=host.architecture,
        bits=host.pointer_bits,
        cores=os.cpu_count() or 1,
        memory_mb=_kilobytes(_field(host, "proc/meminfo", "MemTotal")),
        os=_os_name(host),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        edge_ecg=__version__,
        emulated=emulated(host),
        hypervisor=virtual_machine(host),
    )


def memory_mb() -> tuple[float | None, float | None]:
    """Resident memory of this process now and at its highest, in MB (1e6 bytes); None where nobody tells."""
    host = Host(folder=Path("/"))
    now, highest = (_kilobytes(_field(host, "proc/self/status", name)) for name in ("VmRSS", "VmHWM"))
    return now, highest


def _field(host: Host, path: str, name: str) -> str:
    """The text behind ``name`` and a colon in a file of such lines; empty where there is none."""
    for line in (host.read(path) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _kilobytes(text: str) -> float | None:
    number = text.removesuffix("kB").strip()
    return int(number) * 1024 / 1e6 if number.isdecimal() else None


def _os_name(host: Host) -> str:
    for line in (host.read("etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return platform.system()
