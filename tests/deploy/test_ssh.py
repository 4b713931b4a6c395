"""The connection itself: keys, host keys, jump hosts, exit codes, and what is said when it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ecg.deploy.remote.options import SshOptions, check_host
from edge_ecg.deploy.remote.ssh import Remote
from edge_ecg.errors import RemoteError, UsageError

from .processes import await_ssh_gone
from .sshd import Client, Sshd, User, free_port, keygen

pytestmark = pytest.mark.usefixtures("clean_env")


@pytest.fixture(scope="module")
def sshd(base: Path, user: User, client: Client) -> Iterator[Sshd]:
    sshd = Sshd(base / "ssh-tests", user).start(client.public)
    client.add("plain", sshd)
    yield sshd
    sshd.stop()


def refused(host: str, options: SshOptions) -> RemoteError:
    with pytest.raises(RemoteError) as caught, Remote(host, options):
        pass
    assert caught.value.exit_code == 7
    assert caught.value.remedy
    return caught.value


def fingerprint(sshd: Sshd) -> str:
    argv = ["ssh-keygen", "-lf", str(sshd.folder / "host_key.pub")]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[1]


def test_a_good_key_runs_commands_and_their_codes_come_back(sshd: Sshd, client: Client) -> None:
    with Remote("plain", client.options()) as remote:
        assert remote.host_key is not None
        assert remote.host_key.fingerprint == fingerprint(sshd)
        assert not remote.host_key_added
        done = remote.run(["printf", "%s|", "a b", "'", "$HOME", "\n", "é"])
        assert (done.returncode, done.text) == (0, "a b|'|$HOME|\n|é|")
        assert remote.run("cat; echo err >&2; exit 7", stdin=b"\x00\xff").stdout == b"\x00\xff"
        assert remote.run("exit 7").returncode == 7
        # 255 is how ssh says that it failed itself.
        assert remote.run("exit 255").returncode == 254
        assert remote.run("kill -9 $$").returncode == 128 + 9
        with remote.stream("echo one; echo two; echo three >&2; exit 3") as lines:
            assert list(lines) == ["one", "two"]
            assert (lines.returncode, lines.completed.words) == (3, "three")
    await_ssh_gone(client)


def test_a_command_that_takes_too_long_is_given_up(sshd: Sshd, client: Client) -> None:
    with Remote("plain", client.options()) as remote:
        with pytest.raises(RemoteError, match="did not finish within"):
            remote.run("sleep 60", timeout_s=0.5)
        assert remote.run("echo still here").text == "still here\n"


def test_a_connection_that_goes_is_told_and_no_second_one_is_made(sshd: Sshd, client: Client) -> None:
    with Remote("plain", client.options()) as remote:
        remote.cut()
        with pytest.raises(RemoteError, match="was lost") as caught:
            remote.run("echo no")
        assert "same command again" in caught.value.remedy
        with pytest.raises(RemoteError, match="was lost"), remote.stream("echo no") as lines:
            list(lines)


def test_wrong_key(sshd: Sshd, base: Path) -> None:
    stranger = Client(base / "stranger")
    stranger.add("plain", sshd)
    error = refused("plain", stranger.options())
    assert "does not accept your key" in error.what
    assert "ssh-copy-id" in error.remedy


def test_locked_account_is_named_as_a_cause(sshd: Sshd, client: Client, user: User) -> None:
    subprocess.run(["usermod", "-p", "!", user.name], check=True)
    try:
        assert "locked account" in refused("plain", client.options()).remedy
    finally:
        subprocess.run(["usermod", "-p", "*", user.name], check=True)


def test_unknown_host_is_refused_with_its_fingerprint_and_taken_when_asked(sshd: Sshd, base: Path) -> None:
    newcomer = Client(base / "newcomer")
    newcomer.key = keygen(base / "newcomer" / "known")
    host = newcomer.add("first", sshd, known=False)
    with (sshd.folder / "authorised").open("a") as file:
        file.write(newcomer.public)
    error = refused(host, newcomer.options())
    assert fingerprint(sshd) in error.why
    assert "--accept-new-host-key" in error.remedy
    assert newcomer.known_hosts.read_text() == ""
    with Remote(host, newcomer.options(accept_new=True)) as remote:
        assert remote.host_key_added
    assert newcomer.known_hosts.read_text() != ""
    with Remote(host, newcomer.options()) as remote:
        assert not remote.host_key_added


@pytest.mark.parametrize("accept_new", [False, True])
def test_changed_host_key_is_refused_even_if_new_ones_are_welcome(
    sshd: Sshd, client: Client, tmp_path: Path, accept_new: bool
) -> None:
    name = f"moved-{accept_new:d}"
    client.add(name, sshd, known=False)
    other = keygen(tmp_path / "other").with_suffix(".pub").read_text().split()
    with client.known_hosts.open("a") as file:
        file.write(f"{name} {other[0]} {other[1]}\n")
    line = len(client.known_hosts.read_text().splitlines())
    before = client.known_hosts.read_text()
    error = refused(name, client.options(accept_new=accept_new))
    assert "has changed" in error.what
    assert f"line {line} of {client.known_hosts}" in error.why
    assert fingerprint(sshd) in error.why
    assert "SD card" in error.why
    assert f'-R "{name}"' in error.remedy
    assert client.known_hosts.read_text() == before


def test_jump_host(sshd: Sshd, base: Path, user: User, client: Client) -> None:
    client.add("inner", sshd, "ProxyJump plain")
    with Remote("inner", client.options()) as remote:
        assert remote.run("echo there").text == "there\n"
    # The jump host's own trouble is told as its own.
    client.add("unknown-gate", sshd, known=False)
    client.add("behind-unknown", sshd, "ProxyJump unknown-gate")
    error = refused("behind-unknown", client.options())
    assert error.what.startswith("unknown-gate is not known yet")


def test_nobody_there(client: Client, sshd: Sshd) -> None:
    closed = refused("plain", client.options(f"Port={free_port()}"))
    assert "lets nobody in by SSH" in closed.what
    assert "raspi-config" in closed.remedy
    lost = refused("plain", client.options("HostName=nothing-here.invalid"))
    assert "its name is not found" in lost.what
    slow = refused("plain", client.options("ProxyCommand=sleep 60", "ConnectTimeout=1"))
    assert "does not answer" in slow.what
    wrong = refused("plain", client.options("NoSuchOption=1"))
    assert "does not accept its options" in wrong.what


def test_a_shell_that_talks_is_refused_by_what_it_says(sshd: Sshd, client: Client, user: User) -> None:
    chatty = user.home / "chatty"
    chatty.write_text('#!/bin/sh\necho Welcome, friend\nexec /bin/sh "$@"\n')
    chatty.chmod(0o755)
    subprocess.run(["usermod", "-s", str(chatty), user.name], check=True)
    try:
        assert "Welcome, friend" in refused("plain", client.options()).why
        subprocess.run(["usermod", "-s", "/usr/sbin/nologin", user.name], check=True)
        assert "runs no command" in refused("plain", client.options()).what
    finally:
        subprocess.run(["usermod", "-s", "/bin/sh", user.name], check=True)


def test_files_go_both_ways(sshd: Sshd, client: Client, tmp_path: Path, user: User) -> None:
    data = bytes(range(256)) * 4000
    (tmp_path / "file").write_bytes(data)
    with Remote("plain", client.options()) as remote:
        sent: list[int] = []
        remote.put(tmp_path / "file", "in a folder/it's file", sent.append)
        assert sum(sent) == len(data)
        assert (user.home / "in a folder" / "it's file").read_bytes() == data
        remote.get("in a folder/it's file", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == data
        # What is there already is not sent again; a half of another file is.
        sent.clear()
        remote.put(tmp_path / "file", "in a folder/it's file", sent.append)
        assert sent == [len(data)]
        part = user.home / "other.part"
        part.write_bytes(b"something else")
        user.own(part)
        remote.put(tmp_path / "file", "other")
        assert (user.home / "other").read_bytes() == data
        with pytest.raises(RemoteError, match="does not give nothing"):
            remote.get("nothing", tmp_path / "none")
        assert not (tmp_path / "none.part").exists()


def test_no_ssh_here(client: Client) -> None:
    with (
        pytest.raises(UsageError, match="There is no program"),
        Remote("plain", SshOptions(program="no-such-ssh")),
    ):
        pass


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch x", "a b", "a\nb", "a\x00b"])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(UsageError):
        check_host(host)
