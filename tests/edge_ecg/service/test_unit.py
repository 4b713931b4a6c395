"""The unit, judged by systemd's own tools; what each kind of address may reach; paths of every shape."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edge_ecg.deploy import Home
from edge_ecg.errors import UsageError
from edge_ecg.service.access import access_for
from edge_ecg.service.config import parse_config
from edge_ecg.service.schema import ServiceConfig
from edge_ecg.service.unit import Site, unit_text
from edge_ecg.sources.registry import OPENERS

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(
    ANALYZE is None, reason="systemd-analyze is not installed: apt install systemd"
)
WORST = 3.0

ADDRESSES = {
    "any": None,
    "serial": "/dev/ttyUSB0?baud=115200",
    "uart": "/dev/ttyAMA0",
    "rfcomm": "/dev/rfcomm0",
    "bt": "bt:00:06:66:AA:BB:CC",
    "ble": "ble:Polar H10",
    "socket": "socket://192.168.0.5:7000",
    "rfc2217": "rfc2217://pi:2217",
    "lsl": "lsl:ECG",
    "file": "file:/srv/ecg/a.edf",
    "sim": "sim:shimmer3?from=file:/srv/ecg/a.edf",
}


def config(port: str | None, **sections: object) -> ServiceConfig:
    base = ServiceConfig()
    return replace(base, source=replace(base.source, port=port), **sections)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A home with a start script that can be run: systemd-analyze looks for it."""
    home = Home(tmp_path / "edge ecg")
    home.start_script.parent.mkdir(parents=True)
    home.start_script.write_text("#!/bin/sh\n")
    home.start_script.chmod(0o755)
    return Site(home, "root", "root", frozenset({"dialout", "bluetooth"}), (Path("/root/.config/edge-ecg"),))


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *words], capture_output=True, text=True, timeout=60, check=False)


def lines(text: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def test_every_scheme_has_its_access() -> None:
    schemes = {
        "serial" if port is None or port.startswith("/") else port.partition(":")[0]
        for port in ADDRESSES.values()
    }
    assert schemes == set(OPENERS)


@needs_systemd
@pytest.mark.parametrize("kind", ADDRESSES)
def test_systemd_finds_nothing_wrong_and_calls_it_safe(kind: str, site: Site, tmp_path: Path) -> None:
    path = tmp_path / "edge-ecg.service"
    path.write_text(unit_text(config(ADDRESSES[kind]), site))
    verified = analyze("verify", "--man=no", str(path))
    assert (verified.returncode, verified.stderr) == (0, "")
    scored = analyze("security", "--offline=true", "--no-pager", str(path))
    found = re.search(r"Overall exposure level for edge-ecg.service: ([\d.]+)", scored.stdout)
    assert found is not None, scored.stderr
    assert float(found[1]) < WORST


@needs_systemd
def test_the_test_above_can_fail(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "edge-ecg.service"
    path.write_text("[Service]\nExecStart=/bin/true\nProtectSystm=strict\n")
    assert "ProtectSystm" in analyze("verify", "--man=no", str(path)).stderr
    found = re.search(r": ([\d.]+)", analyze("security", "--offline=true", "--no-pager", str(path)).stdout)
    assert found is not None
    assert float(found[1]) > WORST


@pytest.mark.parametrize(
    ("kind", "families", "devices", "group", "private_network"),
    [
        ("any", "AF_UNIX", {"char-188 rw", "char-166 rw", "char-216 rw"}, "dialout", True),
        ("serial", "AF_UNIX", {"char-188 rw", "char-166 rw"}, "dialout", True),
        ("uart", "AF_UNIX", {"char-ttyAMA rw", "char-ttyS rw"}, "dialout", True),
        ("rfcomm", "AF_UNIX", {"char-216 rw"}, "dialout", True),
        ("bt", "AF_UNIX AF_BLUETOOTH", set(), None, False),
        ("ble", "AF_UNIX", set(), "bluetooth", True),
        ("socket", "AF_UNIX AF_INET AF_INET6", set(), None, False),
        ("rfc2217", "AF_UNIX AF_INET AF_INET6", set(), None, False),
        ("lsl", "AF_UNIX AF_INET AF_INET6 AF_NETLINK", set(), None, False),
        ("file", "AF_UNIX", set(), None, True),
        ("sim", "AF_UNIX", set(), None, True),
    ],
)
def test_an_address_gets_what_it_needs_and_no_more(
    kind: str, families: str, devices: set[str], group: str | None, private_network: bool, site: Site
) -> None:
    text = unit_text(config(ADDRESSES[kind]), site)
    assert lines(text, "RestrictAddressFamilies") == [families]
    assert set(lines(text, "DeviceAllow")) == devices
    assert lines(text, "DevicePolicy") == ["closed"]
    assert lines(text, "PrivateDevices") == ([] if devices else ["yes"])
    assert lines(text, "SupplementaryGroups") == ([group] if group else [])
    assert lines(text, "PrivateNetwork") == (["yes"] if private_network else [])
    assert lines(text, "IPAddressDeny") == (["any"] if kind == "bt" else [])


def test_the_numbers_are_those_of_this_kernel() -> None:
    """By /proc/devices, for the drivers that are loaded here."""
    known = {}
    for line in Path("/proc/devices").read_text().partition("Block devices:")[0].splitlines():
        number, _, name = line.strip().partition(" ")
        known[name] = number
    wanted = {"ttyUSB": "188", "ttyACM": "166", "rfcomm": "216"}
    shared = known.keys() & wanted.keys()
    if not shared:
        pytest.skip("no driver of an adapter is loaded here")
    assert {name: known[name] for name in shared} == {name: wanted[name] for name in shared}


def test_a_name_of_ones_own_is_followed_to_its_device() -> None:
    access = access_for("/dev/ecg", {"/dev/ecg": "/dev/ttyACM3"}.__getitem__)
    assert access.devices == ("/dev/ecg rw", "char-188 rw", "char-166 rw")
    assert access_for("/dev/pts/7").devices == ("char-pts rw",)
    assert access_for("/run/ecg", {"/run/ecg": "/dev/pts/7"}.__getitem__).devices == ("char-pts rw",)


@pytest.mark.parametrize(
    ("there", "given"), [({"uucp"}, ["uucp"]), (set(), []), ({"dialout", "uucp"}, ["dialout"])]
)
def test_only_a_group_that_exists_is_named(there: set[str], given: list[str], site: Site) -> None:
    text = unit_text(config("/dev/ttyUSB0"), replace(site, groups=frozenset(there)))
    assert lines(text, "SupplementaryGroups") == given


def test_files_in_homes_are_put_back_and_others_made_writable(site: Site) -> None:
    text = """
    [source]
    port = "file:/home/ann/in/a.edf"
    [model]
    profile = "/home/ann/rest.json"
    bundle = "/srv/x.ecgb"
    [record]
    directory = "/var/lib/ecg"
    [output]
    file = "/home/ann/out/decisions.jsonl"
    """
    site = replace(site, home=Home(Path("/home/ann/.local/share/edge-ecg")))
    unit = unit_text(parse_config(text, Path("x")), site)
    assert lines(unit, "BindPaths") == ["/home/ann/.local/share/edge-ecg", "-/home/ann/out"]
    assert lines(unit, "ReadWritePaths") == ["-/var/lib/ecg"]
    assert lines(unit, "BindReadOnlyPaths") == [
        "-/home/ann/in",
        "-/root/.config/edge-ecg",
        "-/home/ann/rest.json",
    ]


def test_what_is_in_the_folder_of_edge_ecg_is_not_made_read_only_again(site: Site) -> None:
    root = Path("/home/ann/.local/share/edge-ecg")
    text = f'[model]\nprofile = "{root}/profile.json"\n'
    unit = unit_text(parse_config(text, Path("x")), replace(site, home=Home(root), reads=()))
    assert lines(unit, "BindReadOnlyPaths") == []


@needs_systemd
@pytest.mark.parametrize("name", ["a b", "100%h", "a:b", "$HOME", "ü", "-a;b"])
def test_a_folder_of_any_name_is_written_so_that_systemd_reads_it(name: str, tmp_path: Path) -> None:
    home = Home(tmp_path / name)
    home.start_script.parent.mkdir(parents=True)
    home.start_script.write_text("#!/bin/sh\n")
    home.start_script.chmod(0o755)
    path = tmp_path / "edge-ecg.service"
    path.write_text(unit_text(config("sim:"), Site(home, "root", "root")), encoding="utf-8")
    verified = analyze("verify", "--man=no", str(path))
    assert (verified.returncode, verified.stderr) == (0, ""), path.read_text()


@pytest.mark.parametrize("name", ['a"b', "a'b", "a\\b"])
def test_what_systemd_cannot_run_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder of this name"):
        unit_text(config("sim:"), Site(Home(tmp_path / name), "root", "root"))


def test_a_path_that_would_end_its_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="control character"):
        unit_text(config("sim:"), Site(Home(tmp_path / "a\nExecStartPre=/bin/x"), "root", "root"))


def test_it_never_gives_up(site: Site) -> None:
    text = unit_text(config("sim:"), site)
    assert lines(text, "StartLimitIntervalSec") == ["0"]
    assert lines(text, "Restart") == ["always"]
    assert lines(text, "RestartSteps") == []


def test_the_times_are_the_configurations(site: Site) -> None:
    unit = unit_text(parse_config("[service]\nwatchdog_s = 45\nstart_timeout_s = 300", Path("x")), site)
    assert lines(unit, "WatchdogSec") == ["45"]
    assert lines(unit, "TimeoutStartSec") == ["300"]
