"""One emulated machine: boot it, log in, plug a serial adapter in, cut its power."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

from ..host import run
from .image import USER, image
from .qmp import Qmp

BOOT_TIMEOUT_S = 600.0
CPU = "cortex-a72"


class Machine:
    """A 2-core Cortex-A72 with 1 GiB, on a disk of its own over the cached image.

    It has no way out of its network: only the host may come in, over ssh.

    Parameters
    ----------
    work:
        A folder for its disk, its console's text and the ssh configuration; on no small memory disk. A disk
        that lies there is used on.

    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self.built = image()
        self.ssh_port = _free_port()
        self.console = work / "console.log"
        self.config = work / "ssh_config"
        self._process: subprocess.Popen[bytes] | None = None
        work.mkdir(parents=True, exist_ok=True)
        if not self._disk.exists():
            run(
                "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self.built / "disk.raw",
                self._disk, timeout_s=30,
            )  # fmt: skip
        self.config.write_text(
            f"Host vm\n  HostName 127.0.0.1\n  Port {self.ssh_port}\n  User {USER}\n"
            f"  IdentityFile {self.built / 'id_ed25519'}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {work / 'known_hosts'}\n  StrictHostKeyChecking accept-new\n"
            "  ConnectTimeout 20\n"
        )

    @property
    def _disk(self) -> Path:
        return self.work / "disk.qcow2"

    @property
    def _control(self) -> Path:
        return self.work / "qmp"

    def boot(self) -> float:
        """Switch on; return after how many (emulated) seconds ssh answers."""
        started = time.monotonic()
        words = [
            "nice", "-n", "5", "qemu-system-aarch64", "-M", "virt", "-cpu", CPU, "-smp", "2", "-m", "1024",
            "-accel", "tcg,thread=multi", "-nographic", "-monitor", "none", "-serial", f"file:{self.console}",
            "-kernel", self.built / "vmlinuz", "-initrd", self.built / "initrd",
            "-append", "root=/dev/vda rw console=ttyAMA0 quiet",
            "-drive", f"if=none,id=disk,format=qcow2,file={self._disk}",
            "-device", "virtio-blk-pci,drive=disk",
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22",
            "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "qemu-xhci",
            "-qmp", f"unix:{self._control},server=on,wait=off",
        ]  # fmt: skip
        with (self.work / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.await_login(started + BOOT_TIMEOUT_S)
        return time.monotonic() - started

    def await_login(self, deadline_s: float) -> None:
        """Return once ssh lets us in; RuntimeError at the deadline (time.monotonic) or when QEMU ended."""
        while True:
            # sshd answers late in the boot; until then each try ends by itself within its own time-out.
            tried = self.ssh("true", timeout_s=60, check=False)
            if tried.returncode == 0:
                return
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"QEMU ended: {(self.work / 'qemu.log').read_text()[-2000:]}")
            if time.monotonic() > deadline_s:
                raise RuntimeError(
                    f"no login; the console says:\n{self.console.read_text(errors='replace')[-4000:]}"
                )
            time.sleep(1.0)  # nothing of the machine can be awaited before it answers

    def ssh(
        self, command: str, *, timeout_s: float = 120.0, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command there as the first user."""
        return run(
            "ssh", "-F", self.config, "-o", "BatchMode=yes", "vm", command,
            timeout_s=timeout_s, check=check, stdin=stdin,
        )  # fmt: skip

    def root(self, command: str, *, timeout_s: float = 120.0, check: bool = True) -> str:
        """Run a shell command there as root and return what it printed."""
        done = self.ssh(f"sudo sh -c {shlex.quote(command)}", timeout_s=timeout_s, check=check)
        return (done.stdout + done.stderr).strip()

    def put(self, *paths: Path, to: str, timeout_s: float = 300.0) -> None:
        """Copy files into a folder there."""
        self.ssh(f"mkdir -p {shlex.quote(to)}")
        run("scp", "-q", "-F", self.config, "-o", "BatchMode=yes", *paths, f"vm:{to}/", timeout_s=timeout_s)

    def plug_in(self, port: int) -> None:
        """Plug a USB serial adapter (an FTDI FT232) in whose other end is a TCP port of this host."""
        backend = {
            "addr": {"type": "inet", "data": {"host": "127.0.0.1", "port": str(port)}},
            "server": False,
        }
        with Qmp(self._control) as qmp:
            qmp.do("chardev-add", id="wire", backend={"type": "socket", "data": backend})
            qmp.do("device_add", driver="usb-serial", id="adapter", chardev="wire")

    def unplug(self) -> None:
        """Pull that adapter out again."""
        with Qmp(self._control) as qmp:
            qmp.do("device_del", id="adapter")
            qmp.await_event("DEVICE_DELETED")
            qmp.do("chardev-remove", id="wire")

    def cut_power(self) -> None:
        """End the emulator at once: what the system had not written to its disk is lost."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)

    def reboot(self) -> float:
        """Restart the system from within; return after how many (emulated) seconds it answers again."""
        before = self.ssh("cat /proc/sys/kernel/random/boot_id").stdout
        started = time.monotonic()
        self.root("systemctl reboot", check=False)
        while True:
            self.await_login(started + BOOT_TIMEOUT_S)
            if self.ssh("cat /proc/sys/kernel/random/boot_id", check=False).stdout not in ("", before):
                return time.monotonic() - started
            time.sleep(1.0)  # it is still on its way down


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
