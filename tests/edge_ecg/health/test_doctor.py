"""The doctor on made-up machines: a /sys and /proc tree each, no command, a clock that stands."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_ecg.bundle.private_key import public_of
from edge_ecg.bundle.trust_edit import add_trusted_key
from edge_ecg.cli import main
from edge_ecg.health import Check, Host, Status, examine, machine, ports, software
from edge_ecg.health.registry import CHECKS

from .pi import GOOD, commands, expect, put


def test_a_healthy_pi_has_nothing_to_mend(host: Host) -> None:
    found = [check for check in examine(host) if check.name not in ("model", "serial ports")]
    assert {check.name: check.status for check in found} == dict.fromkeys(
        [
            "board", "python", "64-bit", "packages", "engine", "trusted keys", "serial permission",
            "Bluetooth", "bt: addresses", "Bluetooth and WLAN", "clock", "disk", "power", "temperature",
            "CPU governor",
        ],
        Status.OK,
    )  # fmt: skip


def test_the_board_is_named_where_only_sys_shows_it(host: Host) -> None:
    expect(machine.board(host), Status.OK, "Raspberry Pi 4 Model B Rev 1.5.")
    (host.root / "proc/device-tree/model").unlink()
    assert machine.board(host) is None
    assert not host.is_pi
    put(host.root, {"sys/firmware/devicetree/base/model": "Raspberry Pi 5 Model B Rev 1.0\0"})
    expect(machine.board(host), Status.OK, "Raspberry Pi 5 Model B Rev 1.0.")
    assert host.is_pi


def test_a_package_that_cannot_be_loaded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise ImportError("page of advice") from ImportError("libstdc++.so.6: cannot open shared object file")

    monkeypatch.setattr("edge_ecg.model.load_model", load)
    check = software.model(host)
    expect(check, Status.FAIL, "libstdc++.so.6", "apt install libstdc++6")
    assert "advice" not in check.sentence


def test_python(host: Host) -> None:
    expect(software.python(replace(host, python=(3, 10))), Status.FAIL, "3.10 is too old")
    expect(software.python(replace(host, python=(3, 99))), Status.WARN, "newer than any")


def test_32_bit_userland(host: Host) -> None:
    check = software.userland(replace(host, pointer_bits=32))
    expect(check, Status.WARN, "a 64-bit kernel with a 32-bit userland", "tflite-legacy")
    check = software.userland(replace(host, pointer_bits=32, architecture="armv7l"))
    assert "kernel" not in check.sentence


def test_packages(host: Host) -> None:
    old = GOOD | {"numpy": "1.21.6"}
    expect(software.packages(replace(host, package=old.get)), Status.FAIL, "numpy 1.21.6 (needs 1.24)")
    missing = {name: version for name, version in GOOD.items() if name != "pyserial"}
    expect(software.packages(replace(host, package=missing.get)), Status.FAIL, "pyserial is missing")
    without_radio = {name: version for name, version in GOOD.items() if name != "bleak"}
    expect(software.packages(replace(host, package=without_radio.get)), Status.OK)


def test_trusted_keys(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "trusted"
    folder.mkdir()
    monkeypatch.setenv("EDGE_ECG_TRUSTED_KEYS", str(folder))
    expect(software.trusted_keys(host), Status.OK, "None")
    add_trusted_key(folder, public_of(Ed25519PrivateKey.generate()))
    expect(software.trusted_keys(host), Status.OK, "1: a bundle is run only if")
    folder.chmod(0o777)
    expect(software.trusted_keys(host), Status.FAIL, "Other users may write", f"chmod go-w {folder}")


def test_the_onnxruntime_that_crashes_a_pi_4_is_named_and_not_imported(host: Host) -> None:
    bad = replace(host, package=(GOOD | {"onnxruntime": "1.21.0"}).get)
    expect(software.engine(bad), Status.FAIL, "illegal instruction", "onnxruntime!=1.21.0")
    expect(software.engine(replace(bad, architecture="x86_64")), Status.WARN)
    expect(software.model(bad), Status.UNKNOWN, "Not tried")
    expect(software.engine(replace(host, package={}.get)), Status.FAIL, "No inference engine")


def test_the_model_is_run_on_its_golden_windows(
    host: Host, bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edge_ecg.model

    load = edge_ecg.model.load_model
    monkeypatch.setattr(edge_ecg.model, "load_model", lambda: load(bundle_path))
    expect(software.model(host), Status.OK, "is whole", "4 golden windows agree in")
    damaged = bytearray(bundle_path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    monkeypatch.setattr(edge_ecg.model, "load_model", lambda: load(io.BytesIO(damaged)))
    expect(software.model(host), Status.FAIL)


def test_a_model_that_computes_something_else_fails(
    host: Host, bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import edge_ecg.model

    model = edge_ecg.model.load_model(bundle_path)
    right = model.encoder.embed
    monkeypatch.setattr(model.encoder, "embed", lambda windows: right(windows)[:, ::-1])
    monkeypatch.setattr(edge_ecg.model, "load_model", lambda: model)
    expect(software.model(host), Status.FAIL, "computes something else", "cosine")


def test_serial_permission(host: Host) -> None:
    expect(ports.permission(replace(host, groups=frozenset({1000}))), Status.WARN, "Log out and in")
    stranger = replace(host, groups=frozenset({1001}), user=1001)
    expect(ports.permission(stranger), Status.FAIL, "sudo usermod -aG dialout $USER")
    expect(ports.permission(replace(host, groups=frozenset(), user=0)), Status.OK, "root")
    put(host.root, {"etc/group": "uucp:x:14:\n"})
    expect(ports.permission(stranger), Status.FAIL, "sudo usermod -aG uucp $USER")
    put(host.root, {"etc/group": "garbage\n::\n"})
    expect(ports.permission(stranger), Status.UNKNOWN)


def plug(host: Host, vid: str, pid: str) -> None:
    put(host.root, {"sys/devices/usb1/1-1/idVendor": vid, "sys/devices/usb1/1-1/idProduct": pid})
    tty = host.root / "sys/class/tty/ttyUSB0"
    tty.mkdir(parents=True)
    (tty / "device").symlink_to(host.root / "sys/devices/usb1/1-1")


def test_ports(host: Host) -> None:
    expect(ports.ports(host), Status.UNKNOWN, "None", "--demo")
    plug(host, "1a86", "7523")
    expect(ports.ports(host), Status.OK, "/dev/ttyUSB0: board (CH340)")


def test_a_dock_alone_is_no_source(host: Host) -> None:
    plug(host, "0403", "6010")
    expect(ports.ports(host), Status.WARN, "dock, not a stream", "--port bt:ADDRESS")


def hold(host: Host, process: int, program: str, port: str) -> None:
    put(host.root, {f"proc/{process}/comm": f"{program}\n"})
    (host.root / f"proc/{process}/fd").mkdir()
    (host.root / f"proc/{process}/fd/5").symlink_to(port)


def test_a_port_that_another_program_has_open(host: Host) -> None:
    assert ports.in_use(host) is None  # nothing is plugged in
    plug(host, "1a86", "7523")
    hold(host, 700, "bash", "/dev/pts/3")
    expect(ports.in_use(host), Status.OK)
    hold(host, 777, "minicom", "/dev/ttyUSB0")
    hold(host, 778, "python3", "/dev/ttyUSB0")
    expect(
        ports.in_use(host),
        Status.WARN,
        "/dev/ttyUSB0 is open in minicom (process 777) and python3 (process 778)",
        "kill 777 778",
    )


def test_brltty(host: Host) -> None:
    assert ports.brltty(host) is None
    put(host.root, {"proc/501/comm": "brltty\n"})
    expect(ports.brltty(host), Status.WARN, "CH340", "systemctl disable --now brltty")


def test_modem_manager(host: Host) -> None:
    assert ports.modem_manager(host) is None
    put(host.root, {"proc/500/comm": "ModemManager\n"})
    expect(ports.modem_manager(host), Status.WARN, "systemctl disable --now ModemManager")


def test_ftdi_latency(host: Host) -> None:
    assert ports.latency_timer(host) is None
    put(host.root, {"sys/bus/usb-serial/devices/ttyUSB0/latency_timer": "1\n"})
    assert ports.latency_timer(host) is None
    put(host.root, {"sys/bus/usb-serial/devices/ttyUSB1/latency_timer": "16\n"})
    expect(ports.latency_timer(host), Status.WARN, "ttyUSB1 16 ms", 'ATTR{latency_timer}="1"', "udevadm")


def test_clock(host: Host) -> None:
    expect(
        machine.clock(replace(host, clock=lambda: 100.0)), Status.FAIL, "1970-01-01", "timedatectl set-ntp"
    )
    (host.root / "run/systemd/timesync/synchronized").unlink()
    ask = "timedatectl show --property=NTPSynchronized --value"
    expect(machine.clock(replace(host, command=commands({ask: "yes\n"}))), Status.OK)
    expect(machine.clock(replace(host, command=commands({ask: "no\n"}))), Status.WARN, "may jump")
    expect(machine.clock(host), Status.UNKNOWN)


def test_disk(host: Host) -> None:
    expect(machine.disk(replace(host, free=lambda _: 300_000_000)), Status.WARN, "9 hours")
    expect(machine.disk(replace(host, free=lambda _: 1_000_000)), Status.FAIL, "0 hours")


@pytest.mark.parametrize(
    ("bits", "status", "words"),
    [
        ("0x0", Status.OK, "Never"),
        ("0x50005", Status.WARN, "Now the supply voltage is too low and it is throttled"),
        ("0x50000", Status.WARN, "Since it was switched on, the supply voltage was too low"),
        ("0x20002", Status.WARN, "the clock is capped"),
        ("0x40000", Status.WARN, "fan"),
    ],
)
def test_power(host: Host, bits: str, status: Status, words: str) -> None:
    file = host.root / "sys/devices/platform/soc/soc:firmware/get_throttled"
    file.write_text(f"{bits.removeprefix('0x')}\n")
    expect(machine.power(host), status, words)
    file.unlink()
    asked = replace(host, command=commands({"vcgencmd get_throttled": f"throttled={bits}\n"}))
    expect(machine.power(asked), status, words)


def test_power_by_the_voltage_alarm_and_on_other_machines(host: Host) -> None:
    (host.root / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    expect(machine.power(host), Status.UNKNOWN, "does not tell")
    put(
        host.root,
        {"sys/class/hwmon/hwmon1/name": "rpi_volt\n", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"},
    )
    expect(machine.power(host), Status.WARN, "voltage")
    put(host.root, {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n"})
    expect(machine.power(host), Status.OK)
    put(host.root, {"sys/class/hwmon/hwmon1/name": "coretemp\n", "proc/device-tree/model": "Laptop"})
    assert machine.power(host) is None


def test_temperature_and_governor(host: Host) -> None:
    put(host.root, {"sys/class/thermal/thermal_zone0/temp": "83000\n"})
    expect(machine.temperature(host), Status.WARN, "83 °C", "slows down")
    put(host.root, {"sys/class/thermal/thermal_zone0/temp": "72000\n"})
    expect(machine.temperature(host), Status.WARN, "near the limit")
    put(host.root, {"sys/class/thermal/thermal_zone0/temp": "broken\n"})
    assert machine.temperature(host) is None
    put(host.root, {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n"})
    expect(machine.governor(host), Status.WARN, "powersave", "ondemand")
    (host.root / "sys/devices/system/cpu/intel_pstate").mkdir()
    expect(machine.governor(host), Status.OK, "powersave")


def test_an_empty_root_breaks_no_check(host: Host, tmp_path: Path) -> None:
    bare = replace(host, root=tmp_path / "nothing", command=commands({}), package={}.get)
    for look in CHECKS:
        check = look(bare)
        assert check is None or (check.name and check.sentence)


def test_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"python", "packages", "engine", "model", "clock", "disk"} <= {check["name"] for check in checks}
    assert code == (3 if any(check["status"] == "fail" for check in checks) else 0)
    assert all(check["type"] == "check" for check in checks)


def test_the_exit_code_and_the_words(
    host: Host, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_ecg.cli import doctor

    found = [Check("disk", Status.OK, "Fine."), Check("radio", Status.WARN, "Off.", "switch it on")]
    monkeypatch.setattr(doctor, "examine", lambda _: iter(found))
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["ok    disk: Fine.", "warn  radio: Off.", "        try: switch it on"]
    assert "1 ok, 1 to improve, 0 to mend" in err
    found.append(Check("model", Status.FAIL, "Gone.", "install it"))
    assert main(["doctor"]) == 3
    assert "FAIL  model: Gone." in capsys.readouterr().out
