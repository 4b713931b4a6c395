"""Installing and removing, step by step; systemctl is the test's own: systemd is not process 1 here."""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_ecg.cli import main
from edge_ecg.deploy import Home
from edge_ecg.deploy.health import has_service, read_service
from edge_ecg.errors import UsageError
from edge_ecg.service.account import Account, acting_as, find_account, home_of
from edge_ecg.service.config import load_config
from edge_ecg.service.install import Installer
from edge_ecg.service.systemd import Ran, run_command, unit_state
from edge_ecg.service.unit import UNIT_NAME

root = pytest.mark.skipif(os.geteuid() != 0, reason="installing a service takes root")


class Systemctl:
    """Notes what it is asked, and answers like systemd 252."""

    def __init__(self, failing: str = "") -> None:
        self.asked: list[str] = []
        self._failing = failing

    def __call__(self, words: Sequence[str]) -> Ran:
        program, *rest = words
        assert program == "systemctl"
        if self._failing == "boot":
            return Ran(1, "", "System has not been booted with systemd as init system (PID 1). ...\n")
        if rest[0] == self._failing:
            return Ran(1, "", "Failed to do that.\n")
        if rest[0] != "show":
            self.asked.append(" ".join(rest))
        return Ran(0, "ActiveState=active\nStatusText=a = b\nOther=1\n", "")


@pytest.fixture
def account() -> Account:
    return find_account(None, {})


@pytest.fixture
def systemctl() -> Systemctl:
    return Systemctl()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def installer(tmp_path: Path, account: Account, systemctl: Systemctl, said: list[str]) -> Installer:
    (tmp_path / "units").mkdir()
    return Installer(Home(tmp_path / "home"), account, said.append, False, tmp_path / "units", systemctl)


@root
def test_install_and_uninstall(installer: Installer, systemctl: Systemctl, said: list[str]) -> None:
    home = installer.home
    installer.install("/dev/ttyACM0")
    assert load_config(home.config).source.port == "/dev/ttyACM0"
    assert home.start_script.stat().st_mode & stat.S_IXUSR
    unit = installer.unit_path.read_text()
    assert f"ExecStart={home.start_script}" in unit
    assert "DeviceAllow=char-166 rw" in unit
    assert installer.unit_path.stat().st_mode & 0o777 == 0o644
    assert systemctl.asked == ["daemon-reload", f"enable {UNIT_NAME}", f"start --no-block {UNIT_NAME}"]
    assert "no release yet" in said[-1]
    assert read_service(home) is not None
    assert has_service(home)
    home.current.symlink_to("releases/0001-x")
    home.root.joinpath("releases/0001-x").mkdir()
    installer.install()
    assert systemctl.asked[3:] == ["daemon-reload", f"enable {UNIT_NAME}", f"restart {UNIT_NAME}"]
    installer.uninstall()
    assert systemctl.asked[6:] == [f"disable --now {UNIT_NAME}", "daemon-reload"]
    assert not installer.unit_path.exists()
    assert not has_service(home)
    assert home.config.exists()
    assert home.start_script.exists()
    installer.uninstall()  # once more is no harm
    assert len(systemctl.asked) == 8


def test_a_dry_run_says_every_step_and_does_nothing(
    tmp_path: Path, account: Account, systemctl: Systemctl, said: list[str]
) -> None:
    installer = Installer(Home(tmp_path / "home"), account, said.append, True, tmp_path / "units", systemctl)
    installer.install("sim:")
    assert list(tmp_path.iterdir()) == []
    assert systemctl.asked == []
    assert all(text.startswith("would ") for text in said[:-1])
    assert f"would write {tmp_path}/units/{UNIT_NAME}" in said
    assert "would systemctl daemon-reload" in said
    installer.uninstall()
    assert list(tmp_path.iterdir()) == []


@root
def test_a_configuration_that_is_there_is_never_changed(installer: Installer) -> None:
    installer.home.root.mkdir()
    installer.home.config.write_text("[source]\nport = 'sim:'\n")
    with pytest.raises(UsageError, match="is there already, and names the port sim:"):
        installer.install("/dev/ttyUSB0")
    installer.install("sim:")
    assert installer.home.config.read_text() == "[source]\nport = 'sim:'\n"


@root
def test_a_wrong_configuration_stops_before_the_first_step(
    installer: Installer, systemctl: Systemctl, said: list[str]
) -> None:
    installer.home.root.mkdir()
    installer.home.config.write_text("[source]\nprot = 'sim:'\n")
    with pytest.raises(UsageError, match="1 problem"):
        installer.install()
    assert said == systemctl.asked == []


@root
def test_folders_that_are_written_to_are_made(installer: Installer, tmp_path: Path) -> None:
    installer.home.root.mkdir()
    text = f"[record]\ndirectory = '{tmp_path}/a/b'\n[output]\nfile = '{tmp_path}/c/d.jsonl'\n"
    installer.home.config.write_text(text)
    installer.install()
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "c").is_dir()
    (tmp_path / "file").write_text("")
    installer.home.config.write_text(f"[record]\ndirectory = '{tmp_path}/file/b'\n")
    with pytest.raises(UsageError, match="cannot be made"):
        installer.install()


@root
def test_systemctl_that_fails_is_told_with_its_words(tmp_path: Path, account: Account) -> None:
    (tmp_path / "units").mkdir()
    one = Installer(Home(tmp_path / "home"), account, print, False, tmp_path / "units", Systemctl("enable"))
    with pytest.raises(UsageError, match=r"systemctl enable.*Failed to do that"):
        one.install("sim:")


@root
def test_without_systemd_nothing_is_begun(tmp_path: Path, account: Account) -> None:
    one = Installer(Home(tmp_path / "home"), account, print, False, tmp_path / "units", Systemctl("boot"))
    with pytest.raises(UsageError, match="not started by systemd"):
        one.install("sim:")
    assert list(tmp_path.iterdir()) == []


@root
def test_root_follows_no_link_of_the_user(tmp_path: Path, systemctl: Systemctl) -> None:
    """The user has laid a link where root will write: root writes with the user's rights, and so cannot."""
    entry = pwd.getpwnam("nobody")
    nobody = Account("nobody", entry.pw_uid, entry.pw_gid, "nogroup", Path(entry.pw_dir))
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.name.startswith(("pytest", "popen")):
            parent.chmod(0o755)
    home, secret = Home(tmp_path / "home"), tmp_path / "secret"
    home.root.mkdir()
    os.chown(home.root, nobody.uid, nobody.gid)
    secret.mkdir(mode=0o700)
    (secret / "config.toml").write_text("root's own")
    (tmp_path / "units").mkdir()
    with acting_as(nobody):
        home.start_script.parent.symlink_to(secret)
    one = Installer(home, nobody, print, False, tmp_path / "units", systemctl)
    with pytest.raises(Exception, match=r"denied|cannot be"):
        one.install("sim:")
    assert [path.name for path in secret.iterdir()] == ["config.toml"]
    assert not one.unit_path.exists()
    assert home.config.stat().st_uid == nobody.uid
    assert os.geteuid() == 0


def test_the_python_below_a_runtime_stays_within_reach(installer: Installer) -> None:
    runtime = installer.home.runtime("one")
    runtime.mkdir(parents=True)
    (runtime / "pyvenv.cfg").write_text("home = /home/ann/.pyenv/versions/3.13.0/bin\nversion = 3.13.0\n")
    assert Path("/home/ann/.pyenv/versions/3.13.0") in installer.site().reads


def test_whose_service_it_is() -> None:
    me = find_account(None, {})
    assert me.uid == os.getuid()
    assert find_account("root", {"SUDO_USER": "nobody"}).uid == 0
    assert find_account(None, {"SUDO_USER": "nobody"}).name == "nobody"
    assert find_account(None, {"SUDO_USER": "nobody", "EDGE_ECG_HOME": "/"}).uid == 0
    assert find_account(None, {"SUDO_USER": "nobody", "EDGE_ECG_HOME": "/nowhere"}).name == "nobody"
    assert home_of(me, {}).root == me.folder / ".local/share/edge-ecg"
    assert home_of(me, {"EDGE_ECG_HOME": "/srv/ecg"}).root == Path("/srv/ecg")
    with pytest.raises(UsageError, match="no user 'nobody-of-this-name'"):
        find_account("nobody-of-this-name", {})


def test_what_systemd_says_is_read(systemctl: Systemctl) -> None:
    assert unit_state(systemctl) == {"ActiveState": "active", "StatusText": "a = b"}


def test_a_machine_without_systemd_is_told_so() -> None:
    with pytest.raises(UsageError, match="no no-such-systemctl"):
        run_command(("no-such-systemctl", "--version"))


def test_the_verb_prints_the_unit_and_refuses_without_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGE_ECG_HOME", str(tmp_path / "home"))
    assert main(["service", "unit", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["type"] == "unit"
    assert f"EDGE_ECG_HOME={tmp_path}/home" in row["unit"]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["service", "install"]) == 2
    assert "takes root" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
