"""A disk image of arm64 Debian 12 with systemd, udev, sshd and Python: ten minutes, once, then cached."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from ..cache import cached
from ..host import APT_SYSTEM, need_binfmt, need_programs, run

SUITE = "bookworm"
USER = "ecg"
PACKAGES = (
    "linux-image-arm64", "initramfs-tools", "systemd", "systemd-sysv", "systemd-timesyncd", "udev", "dbus",
    "libpam-systemd", "openssh-server", "sudo", "iproute2", "procps", "kmod", "netbase", "rsync",
    "python3", "python3-venv", "ca-certificates", "usbutils",
)  # fmt: skip
# The initrd holds only what this machine boots from; the default of every driver takes minutes to pack.
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "ext4")
DISK_MIB = 3072
VERSION = 1  # raise it when the steps below change


def image() -> Path:
    """Return the folder with ``disk.raw``, ``vmlinuz``, ``initrd`` and the login key ``id_ed25519``.

    Raises
    ------
    AbsentError
        When this host cannot build one.

    """
    need_binfmt()
    need_programs(["qemu-system-aarch64", "qemu-img", "mke2fs", "ssh-keygen"], APT_SYSTEM)
    recipe = [VERSION, SUITE, USER, PACKAGES, MODULES, DISK_MIB]
    return cached("vm", recipe, _build)


def _build(folder: Path) -> None:
    key = folder / "id_ed25519"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "edge-ecg-vm", "-f", key, timeout_s=20)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        root, hooks = Path(work) / "root", Path(work) / "hooks"
        hooks.mkdir()
        before, after = hooks / "before", hooks / "after"
        before.write_text(_BEFORE.format(modules="\\n".join(MODULES)))
        after.write_text(_AFTER.format(user=USER, key=key.with_suffix(".pub").read_text().strip()))
        for hook in (before, after):
            hook.chmod(0o755)
        run(
            "nice", "mmdebstrap", "--arch=arm64", "--variant=minbase", "--mode=root", "--skip=check/qemu",
            f"--include={','.join(PACKAGES)}", "--dpkgopt=force-confold",
            "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            f"--essential-hook={before}", f"--customize-hook={after}", SUITE, root,
            timeout_s=3600,
        )  # fmt: skip
        for name in ("vmlinuz", "initrd"):
            newest = sorted((root / "boot").glob(f"{name}*"))[-1]
            shutil.copy(newest, folder / name)
        # Straight from the folder: nothing is mounted, and the image is sparse.
        run(
            "mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", root, folder / "disk.raw", f"{DISK_MIB}M",
            timeout_s=300,
        )  # fmt: skip


_BEFORE = """#!/bin/sh
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d"
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/modules"
printf '{modules}\\n' >"$1/etc/initramfs-tools/modules"
"""

# As on Raspberry Pi OS: the first user may use sudo without a password and is in the group of serial ports.
_AFTER = """#!/bin/sh
set -eu
echo edge-ecg-vm >"$1/etc/hostname"
echo '127.0.0.1 localhost edge-ecg-vm' >"$1/etc/hosts"
echo '/dev/vda / ext4 defaults 0 1' >"$1/etc/fstab"
printf '[Match]\\nName=en* eth*\\n[Network]\\nDHCP=yes\\n' >"$1/etc/systemd/network/10-all.network"
chroot "$1" systemctl enable systemd-networkd ssh
chroot "$1" useradd --create-home --shell /bin/bash --groups sudo,dialout,video --password '*' {user}
echo '{user} ALL=(ALL) NOPASSWD: ALL' >"$1/etc/sudoers.d/010_{user}"
chmod 440 "$1/etc/sudoers.d/010_{user}"
mkdir -p -m 700 "$1/home/{user}/.ssh"
echo '{key}' >"$1/home/{user}/.ssh/authorized_keys"
chroot "$1" chown -R {user}: /home/{user}/.ssh
rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*
"""
