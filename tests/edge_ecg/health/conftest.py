"""A healthy Pi."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ecg.health import Host

from .pi import GOOD, NOW, commands, put


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A healthy Pi with Bluetooth and no adapter plugged in."""
    put(
        tmp_path,
        {
            "etc/group": "root:x:0:\nuucp:x:10:\ndialout:x:20:ann\nbluetooth:x:112:\n",
            "etc/passwd": "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n",
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
            "proc/1/comm": "systemd\n",
            "proc/401/comm": "bluetoothd\n",
            "sys/class/bluetooth/hci0/uevent": "",
            "sys/class/rfkill/rfkill0/type": "wlan\n",
            "sys/class/rfkill/rfkill0/soft": "1\n",
            "sys/class/rfkill/rfkill1/type": "bluetooth\n",
            "sys/class/rfkill/rfkill1/soft": "0\n",
            "sys/class/rfkill/rfkill1/hard": "0\n",
            "run/dbus/system_bus_socket": "",
            "run/systemd/timesync/synchronized": "",
            "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        },
    )
    return Host(
        root=tmp_path,
        folder=tmp_path,
        python=(3, 13),
        pointer_bits=64,
        architecture="aarch64",
        groups=frozenset({20, 1000}),
        user=1000,
        bluetooth_sockets=True,
        command=commands({"bluetoothctl show": "Controller 00:11\n\tPowered: yes\n"}),
        package=GOOD.get,
        clock=lambda: NOW,
        free=lambda _: 20_000_000_000,
    )
