"""A real sshd on loopback, with its own host key and configuration, and a client that knows only it."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_ecg.deploy.remote.options import SshOptions

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def needs_sshd() -> None:
    """Skip, with the reason, where no sshd can be started."""
    if SSHD is None or shutil.which("ssh") is None:
        pytest.skip("no sshd here: apt install openssh-server openssh-client")
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes a throw-away user for sshd to log in")


def keygen(path: Path) -> Path:
    """Make an Ed25519 key pair; returns the private one."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)], check=True
    )
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class User:
    """A throw-away account: unlocked (``*``), no password, one home."""

    name: str
    home: Path

    @classmethod
    def make(cls, home: Path) -> User:
        name = f"eecg{secrets.token_hex(4)}"
        subprocess.run(["useradd", "-M", "-s", "/bin/sh", "-d", str(home), name], check=True)
        subprocess.run(["usermod", "-p", "*", name], check=True)
        home.mkdir(exist_ok=True)
        user = cls(name, home)
        user.own(home)
        return user

    @property
    def uid(self) -> int:
        return pwd.getpwnam(self.name).pw_uid

    def own(self, path: Path) -> None:
        entry = pwd.getpwnam(self.name)
        os.chown(path, entry.pw_uid, entry.pw_gid)

    def remove(self) -> None:
        for _ in range(50):  # sshd's children may still be leaving
            done = subprocess.run(["userdel", self.name], capture_output=True, check=False)
            if done.returncode != 8:
                return
            subprocess.run(["pkill", "-KILL", "-u", self.name], check=False)


@dataclass
class Sshd:
    """One sshd; ``lines`` go into its configuration."""

    folder: Path
    user: User
    lines: list[str] = field(default_factory=list)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        keygen(self.folder / "host_key")

    @property
    def host_public(self) -> str:
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    def start(self, authorised: str) -> Sshd:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        (self.folder / "authorised").write_text(authorised)
        config = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder / 'host_key'}",
            f"AuthorizedKeysFile {self.folder / 'authorised'}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PidFile none",
            "MaxStartups 100",
            "Subsystem sftp internal-sftp",
            *self.lines,
        ]
        (self.folder / "config").write_text("\n".join(config) + "\n")
        assert SSHD is not None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "config")],
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        self._await()
        return self

    def _await(self) -> None:
        assert self.process is not None
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as link:
                    if link.recv(4) == b"SSH-":
                        return
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    raise AssertionError((self.folder / "log").read_text()) from None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None


@dataclass
class Client:
    """A client's folder: a key, known hosts, and a configuration that names hosts."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.key = keygen(self.folder / "id")
        self.known_hosts = self.folder / "known_hosts"
        self.known_hosts.touch()
        self.config = self.folder / "config"
        self.config.write_text(
            f"Host *\n  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )

    @property
    def public(self) -> str:
        return self.key.with_suffix(".pub").read_text()

    def add(
        self, name: str, sshd: Sshd, *more: str, known: bool = True, port: int = 0, alias: str = ""
    ) -> str:
        """Name a host in the configuration; returns the name.

        ``port`` and ``alias`` name one more way to a host whose key is known by the alias; ``known`` puts the
        key into known_hosts.
        """
        lines = [
            f"Host {name}",
            "  HostName 127.0.0.1",
            f"  Port {port or sshd.port}",
            f"  User {sshd.user.name}",
            f"  IdentityFile {self.key}",
            "  IdentitiesOnly yes",
            f"  HostKeyAlias {alias or name}",
            *(f"  {line}" for line in more),
        ]
        self.config.write_text("\n".join(lines) + "\n" + self.config.read_text())
        if known and not alias:
            with self.known_hosts.open("a") as file:
                file.write(f"{name} {sshd.host_public}\n")
        return name

    def options(self, *more: str, accept_new: bool = False) -> SshOptions:
        return SshOptions(str(self.config), tuple(more), batch=True, accept_new_host_key=accept_new)
