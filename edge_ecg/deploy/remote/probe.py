"""What a device is, asked in one round trip, and whether edge-ecg can run there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from ...errors import RemoteError
from .ssh import Remote

MIN_PYTHON = (3, 11)
MIN_GLIBC = (2, 28)
_TIMEOUT_S = 60.0
_MACHINES = ("aarch64", "x86_64")
_MAX_SKEW_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Python:
    """A Python on the device.

    ``version`` is (major, minor), ``platform`` as ``sysconfig.get_platform()`` says, ``bits`` the size of
    its pointers, ``glibc`` (major, minor) or None with another C library, ``has_venv`` whether it can make
    virtual environments with pip in them.
    """

    path: str
    version: tuple[int, int]
    platform: str
    bits: int
    glibc: tuple[int, int] | None
    has_venv: bool

    @property
    def tag(self) -> str:
        """As in the names of wheels: ``cp311``."""
        return f"cp{self.version[0]}{self.version[1]}"


class FoundRelease(NamedTuple):
    """A release on the device: its name, the SHA-256 of its bundle, its runtime, whether it is confirmed."""

    name: str
    sha256: str
    runtime: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Probe:
    """What a device said of itself.

    ``machine`` is the kernel's (``uname -m``); ``root`` the folder of edge-ecg (:mod:`..layout`), there or
    not; ``skew_s`` how much later it is there than here; ``current`` the name of the current release, empty
    without one; ``start_script`` the SHA-256 of ``bin/edge-ecg-start``; ``runtimes`` the complete ones.
    """

    machine: str
    kernel: str
    system: str
    board: str
    user: str
    user_home: str
    root: str
    writable: bool
    free_bytes: int
    pythons: tuple[Python, ...]
    skew_s: float
    sudo: bool
    systemd: bool
    service: str
    current: str
    start_script: str
    runtimes: tuple[str, ...]
    releases: tuple[FoundRelease, ...]

    def runs(self, sha256: str, runtime: str) -> bool:
        """Whether the current release is this bundle in this runtime, whole, and has proven itself."""
        return runtime in self.runtimes and any(
            one.name == self.current and one.sha256 == sha256 and one.runtime == runtime and one.confirmed
            for one in self.releases
        )

    def has(self, sha256: str, runtime: str) -> bool:
        """Whether this bundle has been admitted in this runtime."""
        return any(one.sha256 == sha256 and one.runtime == runtime for one in self.releases)

    def python(self) -> Python:
        """Return the Python that edge-ecg will run in: the first that can.

        Raises
        ------
        RemoteError
            When none can, saying what is missing.

        """
        good = [one for one in self.pythons if one.version >= MIN_PYTHON and one.bits == 64]
        for one in good:
            if one.has_venv and one.glibc is not None and one.glibc >= MIN_GLIBC:
                return one
        raise self._no_python(good)

    def _no_python(self, good: list[Python]) -> RemoteError:
        name = self.board or self.machine
        if any(one.bits == 32 for one in self.pythons):
            return _no_32_bit(name)
        if not good:
            newest = max((one.version for one in self.pythons), default=None)
            return RemoteError(
                f"{name} has no Python 3.11 or newer.",
                why="There is none at all." if newest is None else f"Its newest is {newest[0]}.{newest[1]}.",
                remedy="Write the card anew with Raspberry Pi OS (64-bit) bookworm or trixie.",
            )
        first = good[0]
        if first.glibc is None:
            return RemoteError(
                f"{name} does not use glibc.",
                why=f"The inference engines come as wheels for glibc; {self.system or 'this system'} (musl?) "
                "runs none of them.",
                remedy="Use a Debian: Raspberry Pi OS (64-bit) is one.",
            )
        if first.glibc < MIN_GLIBC:
            return RemoteError(
                f"The glibc of {name} is too old: {first.glibc[0]}.{first.glibc[1]}.",
                why=f"The inference engines need {MIN_GLIBC[0]}.{MIN_GLIBC[1]} (Debian 10) or newer.",
                remedy="Write the card anew with Raspberry Pi OS (64-bit) bookworm or trixie.",
            )
        return RemoteError(
            f"The Python {first.version[0]}.{first.version[1]} of {name} cannot make virtual environments.",
            why="Its module venv or ensurepip is missing: Debian packs them apart.",
            remedy="There: sudo apt install python3-venv",
        )


def probe(remote: Remote, clock: Callable[[], float] = time.time) -> Probe:
    """Ask a device what it is; changes nothing there.

    Raises
    ------
    RemoteError
        When the connection is lost, or it answers nothing that can be understood.

    """
    script = files(__package__).joinpath("probe.sh").read_text(encoding="utf-8")
    before = clock()
    done = remote.run(script, timeout_s=_TIMEOUT_S)
    here = (before + clock()) / 2
    try:
        return parse_probe(done.text, here)
    except (ValueError, KeyError, IndexError) as error:
        raise RemoteError(
            f"{remote.host} does not answer like a Linux machine.",
            why=done.words or f"It said {done.text[:80]!r}.",
            remedy=f"`ssh {remote.host} uname -a` must answer Linux.",
        ) from error


def parse_probe(text: str, here_s: float) -> Probe:
    """Read the answers; ``here_s`` is the time here, in seconds since 1970, at which they were given.

    Raises
    ------
    KeyError, ValueError, IndexError
        When an answer is missing or makes no sense.

    """
    pairs = [line.partition("=")[::2] for line in text.splitlines() if "=" in line]
    one = dict(reversed(pairs))  # of a key given twice, the first
    return Probe(
        machine=one["machine"],
        kernel=one["kernel"],
        system=one["system"],
        board=one["board"],
        user=one["user"],
        user_home=one["user_home"],
        root=one["root"],
        writable=one["writable"] == "yes",
        free_bytes=int(one["free_kib"]) * 1024,
        pythons=tuple(_python(value) for key, value in pairs if key == "python" and value),
        skew_s=int(one["time"]) - here_s,
        sudo=one["sudo"] == "yes",
        systemd=one["systemd"] == "yes",
        service=one.get("service", ""),
        current=one["current"],
        start_script=one["start_script"],
        runtimes=tuple(value for key, value in pairs if key == "runtime"),
        releases=tuple(_release(value) for key, value in pairs if key == "release"),
    )


def require_usable(host: str, found: Probe, needed_bytes: int) -> list[str]:
    """Refuse a device on which edge-ecg cannot run; returns what is worth a warning.

    Raises
    ------
    RemoteError
        When its processor, its Python, its C library, its disk or its rights do not do, by name.

    """
    if found.machine not in _MACHINES:
        raise (
            _no_32_bit(found.board or found.machine)
            if _is_arm32(found.machine)
            else RemoteError(f"{host} is a {found.machine}; edge-ecg runs on {' and '.join(_MACHINES)}.")
        )
    found.python()
    if not found.writable:
        raise RemoteError(
            f"{found.user} may not write to {found.root} on {host}.",
            why="The folder belongs to somebody else, or its disk is mounted read-only.",
            remedy=f"There: `ls -ld {found.root}`, `findmnt -T {found.user_home}`; a card that turned "
            "read-only by itself (`dmesg | grep -i ext4`) wants to be replaced.",
        )
    if found.free_bytes < needed_bytes:
        raise RemoteError(
            f"The disk of {host} is too full: {needed_bytes >> 20} MiB are needed, "
            f"{found.free_bytes >> 20} MiB are free.",
            why=f"Nothing was sent. What edge-ecg keeps lies in {found.root}.",
            remedy="There: `sudo apt clean`, or remove old recordings.",
        )
    if abs(found.skew_s) > _MAX_SKEW_S:
        return [
            f"its clock is {_days(found.skew_s)} {'ahead of' if found.skew_s > 0 else 'behind'} this one's: "
            "recordings get wrong dates (`timedatectl` there)"
        ]
    return []


def _python(text: str) -> Python:
    path, version, platform, bits, libc, has_venv = text.split("|")
    name, _, number = libc.partition(" ")
    return Python(
        path,
        _pair(version),
        platform,
        int(bits),
        _pair(number) if name == "glibc" else None,
        has_venv == "yes",
    )


def _release(text: str) -> FoundRelease:
    name, sha256, runtime, mark = text.split("|")
    return FoundRelease(name, sha256, runtime, mark == "yes")


def _pair(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def _is_arm32(machine: str) -> bool:
    return machine.startswith("armv") and not machine.startswith("armv8")


def _no_32_bit(name: str) -> RemoteError:
    return RemoteError(
        f"{name} runs a 32-bit system; edge-ecg needs a 64-bit one.",
        why="Neither LiteRT nor ONNX Runtime nor NumPy has wheels for 32-bit ARM. (A 64-bit kernel "
        "with 32-bit programs, as the 32-bit Raspberry Pi OS has on a Pi 4, counts as 32-bit.)",
        remedy="Write the card anew with Raspberry Pi OS (64-bit): Zero 2 W, 3, 4 and 5 run it. Who must "
        "stay on 32-bit bookworm can run the int8 model by hand with tflite-runtime 2.14 and apt's "
        "python3-numpy (docs/raspberry-pi.md).",
    )


def _days(seconds: float) -> str:
    return f"{abs(seconds) / 86400:.0f} days"
