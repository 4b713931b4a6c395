"""Running programs in that system as on one board: its core emulated, its /proc/cpuinfo and /sys in place."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .boards import Board
from .host import need_binfmt, run

# Mounts of its own, gone with the process: an overlay that keeps the cached layers clean, the board's faces,
# and only the devices that every program may expect.
ENTER = """
mkdir -p "$root" "$upper/data" "$upper/work"
mount -t overlay edge-ecg -o "lowerdir=$lower,upperdir=$upper/data,workdir=$upper/work" "$root"
mount -t proc proc "$root/proc"
mount --bind "$board/proc/cpuinfo" "$root/proc/cpuinfo"
mount --bind -o ro "$board/sys" "$root/sys"
mount -t tmpfs tmpfs "$root/dev"
for name in null zero full random urandom tty; do
    : >"$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
mount --bind /dev/pts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/run"
"""
_ARGUMENTS = "set -eu\nroot=$1 upper=$2 lower=$3 board=$4; shift 4\n"
# Not by exec: the first process of a namespace would not die of its own SIGILL.
_RUN = ENTER + 'ulimit -c 0\nchroot "$root" "$@"\nexit $?\n'
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}  # fmt: skip


@dataclass
class Emulated:
    """A system of several layers on one board.

    Parameters
    ----------
    layers:
        Folders laid over one another, the uppermost first, the root file system last. They stay as they are.
    board:
        Which one it is; None shows the host's /proc/cpuinfo and no /sys, as in a container without either.
    work:
        A folder for what is written in there; it outlives each ``run``.

    """

    layers: Sequence[Path]
    board: Board
    work: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.board.lay_down(self.work / "board")

    def command(self, *words: str | Path) -> list[str]:
        """Return the host's command that runs ``words`` in there."""
        settings = {**_ENVIRONMENT, "QEMU_CPU": self.board.cpu, **self.environment}
        variables = [f"{name}={value}" for name, value in settings.items()]
        return self.namespace(_RUN, "/usr/bin/env", "-i", *variables, *map(str, words))

    def namespace(self, script: str, *words: str) -> list[str]:
        """Return the host's command that runs a shell script with mounts and processes of its own.

        ``script`` finds in ``$root``, ``$upper``, ``$lower`` and ``$board`` what ``ENTER`` needs, and
        ``words`` as its arguments.
        """
        need_binfmt()  # systemd, started in a container of this host, empties the kernel's table
        return [
            "nice", "unshare", "--mount", "--pid", "--fork", "--kill-child",
            "sh", "-c", _ARGUMENTS + script, "sh",
            str(self.work / "root"), str(self.work / "upper"), ":".join(map(str, self.layers)),
            str(self.work / "board"), *words,
        ]  # fmt: skip

    def run(
        self, *words: str | Path, timeout_s: float = 300.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in there; a failure shows what it said."""
        return run(*self.command(*words), timeout_s=timeout_s, check=check)

    @staticmethod
    def inside(folder: str, *words: str) -> list[str]:
        """Return the words of a command that runs ``words`` in a folder."""
        return ["env", "-C", folder, *words]

    def path(self, inside: str) -> Path:
        """Return where the host writes a file so that it lies at ``inside`` at the next run."""
        path = self.work / "upper" / "data" / inside.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
