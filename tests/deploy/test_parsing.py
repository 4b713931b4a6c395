"""What flash reads: fleets, stages, a device's answers, ssh's words. No sshd needed."""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.bundle import PublicKey, TrustedKeys
from edge_ecg.bundle.private_key import write_key_pair
from edge_ecg.cli import status
from edge_ecg.cli.remote_talk import RowTalk, Talk
from edge_ecg.deploy.remote import login
from edge_ecg.deploy.remote.device_side import device_error
from edge_ecg.deploy.remote.failures import ssh_failure
from edge_ecg.deploy.remote.fleet import parse_fleet, read_fleet
from edge_ecg.deploy.remote.host_key import seen_key
from edge_ecg.deploy.remote.options import SshOptions
from edge_ecg.deploy.remote.probe import parse_probe, require_usable
from edge_ecg.deploy.remote.rollout import Rollout, Row
from edge_ecg.deploy.remote.ssh import Completed, Remote
from edge_ecg.deploy.remote.stages import stage_ends
from edge_ecg.deploy.remote.trust import read_public_key, trust
from edge_ecg.errors import BundleError, GateError, RemoteError, UsageError

# ------------------------------------------------------------------ fleets


def test_a_fleet_as_the_docs_have_it(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(
        'ssh_options = ["User=ecg"]\n[[host]]\naddress = "a.local"\nname = "bed 1"\ngroups = ["ward"]\n'
        'ssh_options = ["Port=2222"]\n[[host]]\naddress = "b.local"\n'
    )
    first, second = read_fleet(path)
    assert (first.name, first.address, first.groups) == ("bed 1", "a.local", ("ward",))
    # ssh takes the first of an option given twice: the command line's, the host's, everybody's.
    assert first.options(SshOptions(options=("Port=1",))).options == ("Port=1", "Port=2222", "User=ecg")
    assert (second.name, second.ssh_options) == ("b.local", ("User=ecg",))
    assert [host.name for host in read_fleet(path, ["ward"])] == ["bed 1"]
    with pytest.raises(UsageError, match="Is 'ward' meant"):
        read_fleet(path, ["wards"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no host"),
        ("[[host]]\n", "has no address"),
        ('[[host]]\naddres = "a"\n', "Is 'address' meant"),
        ('hots = 1\n[[host]]\naddress = "a"\n', "Is 'host' meant"),
        ('[host]\naddress = "a"\n', "no list of tables"),
        ('[[host]]\naddress = "-oProxyCommand=x"\n', "is no host"),
        ('[[host]]\naddress = "a"\n[[host]]\naddress = "a"\n', "twice"),
        ('[[host]]\naddress = "a"\nname = "x"\n[[host]]\naddress = "b"\nname = "x"\n', "twice"),
        ('[[host]]\naddress = "a"\ngroups = "ward"\n', "no list of texts"),
        ('[[host]]\naddress = "a"\nname = ""\n', "no text of one line"),
        ("[[host]\n", "is not TOML"),
    ],
)
def test_what_is_no_fleet(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "fleet.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_fleet(tmp_path / "fleet.toml")
    assert said in str(caught.value)


_SCALARS = st.sampled_from([None, True, 0, "", "a", "b", "-o", "a b", ["x"], [1], "\x00"])
_ROWS = st.dictionaries(
    st.sampled_from(["address", "name", "groups", "ssh_options", "x"]), _SCALARS, max_size=4
) | st.fixed_dictionaries({"address": st.sampled_from(["a", "b", "c"])})


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "host": st.lists(_ROWS | _SCALARS, max_size=4) | _SCALARS,
            "ssh_options": _SCALARS,
            "x": _SCALARS,
        },
    )
)
def test_any_fleet_is_read_or_refused_in_a_sentence(data: dict[str, object]) -> None:
    try:
        hosts = parse_fleet(data, "fleet.toml")
    except UsageError:
        return
    assert hosts
    assert len({host.name for host in hosts}) == len(hosts)


# ------------------------------------------------------------------ stages


@pytest.mark.parametrize(
    ("text", "hosts", "ends"),
    [
        ("1,10%,100%", 20, [1, 2, 20]),
        ("1,10%,100%", 1, [1]),
        ("1,10%,100%", 200, [1, 20, 200]),
        ("1,10%,100%", 5, [1, 5]),
        ("2, 50%", 9, [2, 5, 9]),
        ("100%", 3, [3]),
        ("7", 3, [3]),
        ("1", 0, []),
    ],
)
def test_stages(text: str, hosts: int, ends: list[int]) -> None:
    assert stage_ends(text, hosts) == ends


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-1", "half", "1;2", "1.5"])
def test_what_is_no_stage(text: str) -> None:
    with pytest.raises(UsageError):
        stage_ends(text, 20)


@given(
    st.lists(st.integers(1, 300).map(str) | st.integers(1, 100).map("{}%".format), min_size=1),
    st.integers(1, 500),
)
def test_stages_rise_and_reach_everybody(stages: list[str], hosts: int) -> None:
    ends = stage_ends(",".join(stages), hosts)
    assert ends[-1] == hosts
    assert all(one < other for one, other in zip([0, *ends], ends, strict=False))


# ------------------------------------------------------------------ a device's answers


def probed(**changes: str) -> str:
    answers = {
        "machine": "aarch64",
        "kernel": "Linux 6.6.51",
        "user": "pi",
        "user_home": "/home/pi",
        "root": "/home/pi/.local/share/edge-ecg",
        "board": "Raspberry Pi 4 Model B Rev 1.4",
        "system": "Debian GNU/Linux 12 (bookworm)",
        "time": "1000",
        "writable": "yes",
        "free_kib": "1000000",
        "python": "/usr/bin/python3|3.11|linux-aarch64|64|glibc 2.36|yes",
        "sudo": "no",
        "systemd": "yes",
        "current": "",
        "start_script": "",
        **changes,
    }
    return "".join(f"{key}={value}\n" for key, value in answers.items() if value != "absent")


def refusal(**changes: str) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        require_usable("pi", parse_probe(probed(**changes), 1000.0), 1 << 20)
    return caught.value


def test_a_pi_4_is_welcome() -> None:
    found = parse_probe(probed() + "runtime=a\nruntime=b\nrelease=0001-x-1|abc|a|yes\n", 990.0)
    assert require_usable("pi", found, 1 << 20) == []
    assert found.python().tag == "cp311"
    assert (found.skew_s, found.runtimes) == (10.0, ("a", "b"))
    assert found.has("abc", "a")
    assert not found.runs("abc", "a")  # it is not the current one


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"machine": "armv7l", "python": "/p|3.11|linux-armv7l|32|glibc 2.36|yes"}, "32-bit"),
        ({"machine": "armv6l", "python": "/p|3.11|linux-armv6l|32|glibc 2.36|yes"}, "32-bit"),
        # A 64-bit kernel below a 32-bit Raspberry Pi OS: the Python tells.
        ({"python": "/p|3.11|linux-aarch64|32|glibc 2.36|yes"}, "32-bit"),
        ({"machine": "riscv64", "python": "/p|3.11|linux-riscv64|64|glibc 2.36|yes"}, "is a riscv64"),
        ({"python": "/p|3.9|linux-aarch64|64|glibc 2.31|yes"}, "Its newest is 3.9"),
        ({"python": ""}, "none at all"),
        ({"python": "/p|3.11|linux-aarch64|64||yes"}, "does not use glibc"),
        ({"python": "/p|3.11|linux-aarch64|64|glibc 2.27|yes"}, "too old"),
        ({"python": "/p|3.11|linux-aarch64|64|glibc 2.36|no"}, "sudo apt install python3-venv"),
        ({"free_kib": "100"}, "too full"),
        ({"writable": "no"}, "may not write"),
    ],
)
def test_what_is_refused_and_in_which_words(changes: dict[str, str], said: str) -> None:
    error = refusal(**changes)
    assert said in str(error)
    assert error.exit_code == 7


def test_of_several_pythons_the_first_that_will_do() -> None:
    text = probed(python="/usr/bin/python3|3.9|linux-aarch64|64|glibc 2.36|yes")
    text += "python=/usr/bin/python3.12|3.12|linux-aarch64|64|glibc 2.36|no\n"
    text += "python=/opt/python3.13|3.13|linux-aarch64|64|glibc 2.36|yes\n"
    assert parse_probe(text, 0.0).python().path == "/opt/python3.13"


def test_a_clock_that_is_days_off_is_worth_a_warning() -> None:
    found = parse_probe(probed(), 1000.0 + 5 * 86400)
    assert "5 days behind" in require_usable("pi", found, 1)[0]


@given(st.text(max_size=200))
def test_any_answer_is_understood_or_refused(text: str) -> None:
    try:
        found = parse_probe(text, 0.0)
    except (ValueError, KeyError, IndexError):
        return
    assert found.machine is not None


def test_the_probe_script_is_true_of_this_machine_and_changes_nothing(tmp_path: Path) -> None:
    script = files("edge_ecg.deploy.remote").joinpath("probe.sh").read_text()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=env)
    found = parse_probe(told.stdout, 0.0)
    assert told.stderr == ""
    assert (found.machine, found.user_home, found.current) == (os.uname().machine, str(tmp_path), "")
    assert found.root == f"{tmp_path}/.local/share/edge-ecg"
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_device_keep_their_kind_and_name_it() -> None:
    said = b"some warning\nedge-ecg: It is too slow.\n  why: 900 ms.\n  try: edge-ecg logs HOST\n"
    error = device_error("pi", Completed(6, b"", said))
    assert isinstance(error, GateError)
    assert (error.what, error.why, error.remedy) == ("pi: It is too slow.", "900 ms.", "edge-ecg logs pi")
    assert isinstance(device_error("pi", Completed(4, b"", said)), BundleError)
    assert isinstance(device_error("pi", Completed(5, b"", said)), RemoteError)
    died = device_error("pi", Completed(137, b"", b"Killed\n"))
    assert isinstance(died, RemoteError)
    assert "exit code 137" in died.what


# ------------------------------------------------------------------ ssh's words


@given(st.text(max_size=300))
def test_whatever_ssh_says_becomes_an_error(log: str) -> None:
    error = ssh_failure("pi@x", log)
    assert error.exit_code == 7
    assert error.what
    assert error.remedy


def test_the_key_of_the_last_hop_is_the_devices() -> None:
    log = (
        "debug1: Server host key: ssh-rsa SHA256:first\nother\n"
        "debug1: Server host key: ssh-ed25519 SHA256:second\n"
    )
    assert seen_key(log) == ("ssh-ed25519", "SHA256:second")
    assert seen_key("nothing") is None


def test_a_private_key_is_not_sent(tmp_path: Path) -> None:
    private = tmp_path / "key"
    private.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    with pytest.raises(UsageError, match="stays here"):
        read_public_key(private)
    for text in (
        "",
        "ssh-rsa AAAA",
        "ssh-ed25519 AAAA'; rm -rf /\n",
        "ssh-ed25519 " + "A" * 68 + "\nsecond\n",
    ):
        private.write_text(text)
        with pytest.raises(UsageError):
            read_public_key(private)
    write_key_pair(tmp_path / "pair", comment="me at work")
    assert read_public_key(tmp_path / "pair.pub").comment == "me at work"


# ------------------------------------------------------------------ scripts, run by the sh of this machine


class ThisMachine:
    """In place of a connection: what is sent to the device runs here, in its home."""

    host = "here"

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(
        self, command: Sequence[str] | str, *, stdin: bytes | None = None, timeout_s: float | None = None
    ) -> Completed:
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        done = subprocess.run(
            words, input=stdin, capture_output=True, timeout=timeout_s, check=False, cwd=self.home, env=env
        )
        return Completed(done.returncode, done.stdout, done.stderr)


class Verifier:
    """In place of the device's own edge-ecg: its `verify` passes or fails."""

    root = "/nowhere"
    fails = False

    def call(self, *_: str, timeout_s: float | None = None) -> dict[str, Any]:
        if self.fails:
            raise RemoteError("here did not finish within 60 s.")
        return {}


def test_a_key_that_was_trusted_stays_when_the_check_fails(tmp_path: Path) -> None:
    remote, device = cast(Any, ThisMachine(tmp_path)), cast(Any, Verifier())
    one, two = (write_key_pair(tmp_path / name, comment=name) for name in ("one", "two"))
    path, folder = tmp_path / "work key.pub", tmp_path / ".config/edge-ecg/trusted_keys"
    # A new one goes again ...
    device.fails = True
    with pytest.raises(RemoteError, match="did not finish"):
        trust(remote, device, path, one)
    assert list(folder.iterdir()) == []
    # ... one that was there stays, under whatever name ...
    device.fails = False
    file = trust(remote, device, path, one)
    assert Path(file).parent == folder
    device.fails = True
    with pytest.raises(RemoteError, match="did not finish"):
        trust(remote, device, tmp_path / "another.pub", PublicKey(one.raw, "another comment"))
    assert [str(path) for path in folder.iterdir()] == [file]
    # ... and another key of the same file name takes no place away.
    device.fails = False
    trust(remote, device, path, two)
    assert {one.key.raw for one in TrustedKeys.of_directories([folder]).keys} == {one.raw, two.raw}


def test_modules_in_the_login_folder_do_not_count(tmp_path: Path) -> None:
    for name in ("venv", "ensurepip", "struct"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('of the user')\n")
    script = files("edge_ecg.deploy.remote").joinpath("probe.sh").read_text(encoding="utf-8")
    plain, beside = (
        subprocess.run(
            ["sh", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for folder in ("/", tmp_path)
    )
    pythons = [line for line in plain.splitlines() if line.startswith("python=")]
    assert pythons
    assert [line for line in beside.splitlines() if line.startswith("python=")] == pythons


def test_a_host_that_ends_its_output_and_stays_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\n[ "$1" = -G ] && exit 0\nexec >&-\nexec sleep 30\n')
    program.chmod(0o755)
    monkeypatch.setattr(login, "_LIMIT_S", 0.3)
    began_s = time.monotonic()
    with pytest.raises(RemoteError, match="does not answer"):
        Remote("pi", SshOptions(batch=True, program=str(program))).open()
    assert time.monotonic() - began_s < 15.0


# ------------------------------------------------------------------ a device's words on this terminal


def test_a_device_does_not_command_this_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    bad = "fine \x1b]0;mine\x07"
    talk, row = Talk("pi", json_lines=False), Row("pi", 1)
    talk.step("probe", bad)
    talk.warn(bad)
    RowTalk(row, json_lines=False).step("probe", bad)

    def work(_: int, __: Row) -> bool:
        raise RemoteError(bad)

    rollout = Rollout(["pi"], [1], work)
    rollout.run()
    shown = capsys.readouterr().err + row.text + rollout.rows[0].text
    assert shown.count("fine") == 4
    assert not {"\x1b", "\x07"} & set(shown)


@pytest.mark.parametrize("found", [{}, {"disk_free_bytes": "a lot"}, {"releases": 3}])
def test_a_status_of_another_version_is_no_traceback(
    found: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "device_status", lambda _: {"type": "status", **found})
    with pytest.raises(RemoteError, match="cannot be read"):
        status.run(argparse.Namespace(hosts=None, group=[], host=None, json=False))
