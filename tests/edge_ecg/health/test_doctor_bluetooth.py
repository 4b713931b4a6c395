"""The doctor on made-up machines: radios, and what streams over a network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_ecg.errors import DeviceError
from edge_ecg.health import Host, Status, bluetooth, software

from .pi import GOOD, commands, expect, put


def test_bluetooth_from_the_radio_upwards(host: Host) -> None:
    off = replace(host, command=commands({"bluetoothctl show": "\tPowered: no\n"}))
    expect(bluetooth.bluetooth(off), Status.WARN, "switched off", "power on")
    expect(bluetooth.bluetooth(replace(host, command=commands({}))), Status.UNKNOWN, "nobody tells")
    (host.root / "proc/401/comm").unlink()
    expect(bluetooth.bluetooth(host), Status.WARN, "daemon does not run")
    (host.root / "run/dbus/system_bus_socket").unlink()
    expect(bluetooth.bluetooth(host), Status.WARN, "D-Bus")
    put(host.root, {"sys/class/rfkill/rfkill1/soft": "1\n"})
    expect(bluetooth.bluetooth(host), Status.WARN, "sudo rfkill unblock bluetooth")
    put(host.root, {"sys/class/rfkill/rfkill1/hard": "1\n"})
    expect(bluetooth.bluetooth(host), Status.WARN, "hardware switch")
    (host.root / "sys/class/bluetooth/hci0/uevent").unlink()
    (host.root / "sys/class/bluetooth/hci0").rmdir()
    expect(bluetooth.bluetooth(host), Status.UNKNOWN, "No adapter")


def test_a_radio_that_is_switched_off_in_config_txt(host: Host) -> None:
    (host.root / "sys/class/bluetooth/hci0/uevent").unlink()
    (host.root / "sys/class/bluetooth/hci0").rmdir()
    put(host.root, {"boot/firmware/config.txt": "[all]\n# dtoverlay=disable-bt\narm_64bit=1\n"})
    expect(bluetooth.bluetooth(host), Status.UNKNOWN, "No adapter")
    put(host.root, {"boot/firmware/config.txt": "[all]\ndtoverlay=disable-bt\n"})
    expect(bluetooth.bluetooth(host), Status.WARN, "switched off in config.txt", "sudo reboot")


DEBIAN_POLICY = """<busconfig>
  <policy group="bluetooth"><allow send_destination="org.bluez"/></policy>
  <policy context="default">
    <deny send_destination="org.bluez"/>
  </policy>
</busconfig>"""


def test_bluetooth_permission(host: Host) -> None:
    assert bluetooth.permission(host) is None  # no policy, no need of a group
    put(host.root, {"etc/dbus-1/system.d/bluetooth.conf": DEBIAN_POLICY.replace("deny", "allow")})
    assert bluetooth.permission(host) is None
    put(host.root, {"etc/dbus-1/system.d/bluetooth.conf": DEBIAN_POLICY})
    expect(bluetooth.permission(host), Status.WARN, "sudo usermod -aG bluetooth $USER")
    expect(bluetooth.permission(replace(host, groups=frozenset({112}))), Status.OK)
    assert bluetooth.permission(replace(host, user=0)) is None


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("[General]\nControllerMode = bredr\n", Status.WARN, "ControllerMode = dual"),
        ("[General]\nControllerMode=le\n", Status.OK, "a Shimmer over bt: needs dual"),
        ("[General]\n#ControllerMode = bredr\n", Status.OK, "LE and classic"),
        ("", Status.OK, "LE and classic"),
    ],
)
def test_controller_mode(host: Host, text: str, status: Status, words: str) -> None:
    assert bluetooth.mode(host) is None
    put(host.root, {"etc/bluetooth/main.conf": text})
    expect(bluetooth.mode(host), status, words)


def test_a_python_without_bluetooth_sockets(host: Host) -> None:
    expect(bluetooth.sockets(host), Status.OK)
    without = replace(host, bluetooth_sockets=False)
    expect(bluetooth.sockets(without), Status.WARN, "AF_BLUETOOTH", "/usr/bin/python3 -m venv", "rfcomm bind")
    (host.root / "sys/class/bluetooth/hci0/uevent").unlink()
    (host.root / "sys/class/bluetooth/hci0").rmdir()
    assert bluetooth.sockets(without) is None  # nothing to reach anyway


@pytest.mark.parametrize(
    ("iw", "status", "words"),
    [
        ("channel 6 (2437 MHz), width: 20 MHz", Status.WARN, "wlan0 is at 2.4 GHz"),
        ("channel 36 (5180 MHz), width: 80 MHz", Status.OK, "5.2 GHz"),
        ("Interface wlan0", Status.UNKNOWN, "nobody tells"),
    ],
)
def test_wlan_beside_bluetooth(host: Host, iw: str, status: Status, words: str) -> None:
    expect(bluetooth.coexistence(host), Status.OK, "WLAN is off")
    put(host.root, {"sys/class/net/wlan0/operstate": "up\n"})
    busy = replace(host, command=commands({"iw dev": iw}))
    expect(bluetooth.coexistence(busy), status, words)
    # A USB dongle has an antenna of its own.
    (host.root / "sys/devices/usb1/1-1/hci1").mkdir(parents=True)
    (host.root / "sys/class/bluetooth/hci1").symlink_to(host.root / "sys/devices/usb1/1-1/hci1")
    expect(bluetooth.coexistence(busy), Status.OK, "USB adapter")


def test_wlan_on_another_machine_is_no_concern(host: Host) -> None:
    put(host.root, {"proc/device-tree/model": "Laptop", "sys/class/net/wlan0/operstate": "up\n"})
    assert bluetooth.coexistence(host) is None


def test_lsl_without_its_library(host: Host) -> None:
    assert software.lsl(host) is None
    with_pylsl = replace(host, package=(GOOD | {"pylsl": "1.18.6"}).get, liblsl=lambda: "1.18")
    expect(software.lsl(with_pylsl), Status.OK, "pylsl 1.18.6 with liblsl 1.18")

    def missing() -> str:
        raise DeviceError("No liblsl.", why="Not found.", remedy="Set PYLSL_LIB.")

    expect(software.lsl(replace(with_pylsl, liblsl=missing)), Status.WARN, "No liblsl", "PYLSL_LIB")
