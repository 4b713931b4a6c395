"""A virtual sensor that another program finds: what ``edge-ecg simulate --ble`` is made of."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from enum import Enum

import numpy as np
import pytest

from edge_ecg.errors import UsageError
from edge_ecg.sources.virtual_radio import BUS_VARIABLE, BleHost, missing_parts
from edge_ecg_bridge.emulators import SilentEmulator, tunnelled_movesense, tunnelled_polar
from edge_ecg_bridge.emulators.base import Unit
from edge_ecg_bridge.stream import FloatArray
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
# Another program: it knows nothing but an address and where the bus is.
LISTEN = """
import sys
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.ble import open_ble
with open_ble(parse_address(sys.argv[1])) as source:
    print(source.info.device, flush=True)
    got = 0
    for item in source:
        got += len(item) if hasattr(item, "ecg_mv") else 0
        if got >= int(sys.argv[2]):
            break
print("bye", flush=True)
"""


@pytest.fixture(autouse=True)
def _parts() -> None:
    missing = missing_parts()
    if missing:
        pytest.skip(missing)


def listen(host: BleHost, samples: int) -> str:
    environment = {**os.environ, BUS_VARIABLE: host.bus_address}
    command = [sys.executable, "-c", LISTEN, host.port, str(samples)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr[-2000:] * (done.returncode != 0)


def test_another_program_finds_it_and_stops_it() -> None:
    changes: list[str] = []
    reasons: list[str] = []
    device = tunnelled_polar(ECG)
    with BleHost(device, on_change=changes.append) as host:
        thread = threading.Thread(target=lambda: reasons.append(host.serve()))
        thread.start()
        assert host.command.endswith("edge-ecg run --port 'ble:Polar H10 12345678'")
        assert listen(host, 3 * 73).split() == ["polar-h10", "bye"]
        assert not device.device.running
        host.stop()
        thread.join(10)
    assert reasons == ["stopped"]
    assert changes[:1] == ["opened"]


def test_a_recording_that_is_over() -> None:
    def ten_seconds(fs_hz: float) -> Iterator[FloatArray]:
        yield np.zeros(round(10 * fs_hz))

    device = tunnelled_movesense(ten_seconds)
    with BleHost(device, speed=10.0) as host:
        # Nobody listens: the sensor is told to begin, and its recording runs out.
        device.device.write("34800001-7185-4d5d-b431-630e7050e8f0", b"\x01\x01/Meas/ECG/256", 0.0)
        assert host.serve() == "recording over"


class State(Enum):
    UP = 0
    DROPPED = 1
    STALE = 2


def test_faults_of_the_radio_by_the_devices_own_word() -> None:
    inner = tunnelled_polar(ECG)

    class Passage:
        """Not itself a tunnel: one is inside."""

        device = inner
        mood = State.UP
        ended = False
        next_due_s = None

        def state(self, now_s: float) -> State:
            return self.mood

        def units(self, now_s: float) -> list[Unit]:
            return inner.units(now_s)

        def link_lost(self) -> None:
            inner.link_lost()

    passage = Passage()
    with BleHost(passage) as host:
        bluez, sensor = host._radio.bluez, host._radio.peripherals[0]._device
        for mood in (State.STALE, State.UP, State.DROPPED, State.UP):
            passage.mood = mood
            host._watch_link()
            assert (bluez._bus is not None) == (mood is not State.STALE)
            assert sensor.is_advertising == (mood is not State.DROPPED)


def test_a_device_for_cables_only() -> None:
    with pytest.raises(UsageError, match="speaks no Bluetooth LE"):
        BleHost(SilentEmulator())
