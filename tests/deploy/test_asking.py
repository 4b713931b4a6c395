"""On a terminal ``ssh`` asks what it would ask: the host key on first contact, the passphrase of a key."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from .conftest import MakeDevice
from .device import Device
from .sshd import Client

pytestmark = pytest.mark.usefixtures("clean_env")


def on_a_terminal(argv: Sequence[str], answers: Sequence[tuple[str, str]]) -> tuple[int, str]:
    """Run a command on a terminal of its own and answer its questions in turn; its code and all it said."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "edge_ecg", *argv])
    said, left = "", list(answers)
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # the other end has been closed
            break
        said += block.decode(errors="replace")
        if left and left[0][0] in said:
            os.write(terminal, f"{left.pop(0)[1]}\n".encode())
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), said


@pytest.fixture
def newcomer(base: Path, make_device: MakeDevice, flashed: Device) -> tuple[Client, Device]:
    """A client that knows no host, with a passphrase on its key; and a device that lets it in."""
    client = Client(base / "asked")
    argv = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(client.key)]
    subprocess.run(argv, check=True)
    device = make_device(flashed)
    with (device.sshd.folder / "authorised").open("a") as file:
        file.write(client.public)
    client.add("pi", device.sshd, known=False)
    return client, device


def test_the_fingerprint_is_shown_and_asked_for_on_first_contact(
    newcomer: tuple[Client, Device], old_bundle: Path
) -> None:
    client, device = newcomer
    words = ["flash", "pi", str(old_bundle), "--dry-run", "--ssh-config", str(client.config)]
    argv = ["ssh-keygen", "-lf", str(device.sshd.folder / "host_key.pub")]
    fingerprint = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[1]

    code, said = on_a_terminal(words, [("continue connecting", "no")])
    assert code == 7
    assert fingerprint in said
    assert client.known_hosts.read_text() == ""

    code, said = on_a_terminal(words, [("continue connecting", "yes"), ("passphrase", "open sesame")])
    assert code == 0, said
    assert said.index(fingerprint) < said.index("continue connecting")
    assert "new: now in known_hosts" in said
    assert "1.0.0" not in said
    assert "nothing was changed" in said

    # Known by now: only the key's own question is left. Without a terminal it is not asked.
    code, said = on_a_terminal(words, [("passphrase", "open sesame")])
    assert code == 0
    assert "continue connecting" not in said
    code, said = on_a_terminal([*words, "--batch"], [])
    assert code == 7
    assert "passphrase" not in said.replace("passphrases", "")
