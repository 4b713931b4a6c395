"""What the host must have for emulation, and running its programs so that a failure shows what they said."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

BINFMT = Path("/proc/sys/fs/binfmt_misc")
APT_USERLAND = "apt-get install mmdebstrap qemu-user-static binfmt-support"
APT_SYSTEM = f"{APT_USERLAND} qemu-system-arm qemu-utils e2fsprogs openssh-client"


class AbsentError(Exception):
    """Something that these checks need is not on this host; the message says how to get it."""


def run(
    *command: str | Path,
    timeout_s: float,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program; what it printed is in the error, if it fails (and ``check``) or takes too long."""
    words = [str(part) for part in command]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False,
            env=env, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        said = "\n".join(_text(part) for part in (error.stdout, error.stderr))
        raise RuntimeError(f"{words} took more than {timeout_s:.0f} s:\n{said[-4000:]}") from error
    if check and done.returncode != 0:
        raise RuntimeError(
            f"{words} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return done


def need_programs(programs: Sequence[str], apt: str) -> None:
    """Raise AbsentError when a program is not there."""
    for program in programs:
        if shutil.which(program) is None:
            raise AbsentError(f"{program} is absent: {apt}")


def need_binfmt(architecture: str = "aarch64") -> None:
    """Let the kernel start that architecture's programs; AbsentError where it cannot be brought to do so."""
    need_programs(["mmdebstrap", f"qemu-{architecture}-static"], APT_USERLAND)
    if os.geteuid() != 0:
        raise AbsentError("only root can make a system of another architecture here (chroot, binfmt_misc)")
    entry = BINFMT / f"qemu-{architecture}"
    if not (BINFMT / "status").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT, timeout_s=10, check=False)
    if not entry.exists():
        need_programs(["update-binfmts"], APT_USERLAND)
        run("update-binfmts", "--enable", f"qemu-{architecture}", timeout_s=10, check=False)
    if not entry.exists() or not entry.read_text().startswith("enabled"):
        raise AbsentError(f"this kernel does not start {architecture} programs (binfmt_misc): {APT_USERLAND}")


def _text(part: str | bytes | None) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else part or ""
