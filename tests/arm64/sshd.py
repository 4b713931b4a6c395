"""A native sshd whose sessions live in an emulated board: to ``edge-ecg flash`` it is a Raspberry Pi."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .host import AbsentError, run
from .run import ENTER, Emulated

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
APT = "apt-get install openssh-server openssh-client"
START_TIMEOUT_S = 30.0
# sshd wants root's folders all the way to where it locks its sessions in; /tmp is everybody's.
_SERVE = f"""
mount -t tmpfs -o mode=755 tmpfs /mnt
root=/mnt/root
{ENTER}
exec "$@"
"""


@contextmanager
def board_over_ssh(machine: Emulated, work: Path) -> Iterator[Path]:
    """Serve a board; gives an ssh configuration that knows it as ``board``.

    A throw-away user of this host, which sshd looks up, has its home in there; both are gone afterwards.

    Raises
    ------
    AbsentError
        Where no sshd can be started.

    """
    if SSHD is None or shutil.which("ssh") is None:
        raise AbsentError(f"no sshd here: {APT}")
    work.mkdir(parents=True, exist_ok=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    user = f"eecg{secrets.token_hex(4)}"
    run(
        "useradd", "--no-create-home", "--home-dir", f"/home/{user}", "--shell", "/bin/sh", user, timeout_s=30
    )
    try:
        run("usermod", "--password", "*", user, timeout_s=30)
        _move_in(machine, user)
        config = _configure(machine, user, work)
        with (work / "sshd.log").open("wb") as log:
            words = machine.namespace(_SERVE, str(SSHD), "-D", "-e", "-f", str(work / "sshd_config"))
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _await_login(config, process, work / "sshd.log")
            yield config
        finally:
            process.kill()  # what it started dies with it
            process.wait(timeout=30)
    finally:
        run("userdel", "--force", user, timeout_s=30, check=False)


def _move_in(machine: Emulated, user: str) -> None:
    """Make the user known inside."""
    entry = pwd.getpwnam(user)
    line = f"{user}:x:{entry.pw_uid}:{entry.pw_gid}::/home/{user}:/bin/sh\n"
    machine.path("/etc/passwd").write_text(f"root:x:0:0:root:/root:/bin/sh\n{line}")
    machine.path("/etc/group").write_text(f"root:x:0:\ndialout:x:20:{user}\n{user}:x:{entry.pw_gid}:\n")
    home = machine.path(f"/home/{user}")
    home.mkdir(mode=0o755)
    os.chown(home, entry.pw_uid, entry.pw_gid)


def _configure(machine: Emulated, user: str, work: Path) -> Path:
    for name in ("host_key", "user_key"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work / name, timeout_s=20)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    (work / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {work / 'host_key'}\nPidFile none\n"
        f"AuthorizedKeysFile /mnt/root/home/{user}/.ssh/authorized_keys\nStrictModes no\nUsePAM no\n"
        f"PasswordAuthentication no\nChrootDirectory /mnt/root\nSubsystem sftp internal-sftp\n"
        f"SetEnv QEMU_CPU={machine.board.cpu} LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin\n"
    )
    keys = machine.path(f"/home/{user}/.ssh/authorized_keys")
    keys.write_bytes((work / "user_key.pub").read_bytes())
    config = work / "ssh_config"
    config.write_text(
        f"Host board\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n"
        f"  IdentityFile {work / 'user_key'}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {work / 'known_hosts'}\n  StrictHostKeyChecking accept-new\n"
    )
    return config


def _await_login(config: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if run("ssh", "-F", config, "board", "true", timeout_s=60, check=False).returncode == 0:
            return
        time.sleep(0.2)  # until it listens there is nothing to wait for
    raise RuntimeError(f"sshd does not let us in:\n{log.read_text(errors='replace')[-3000:]}")
