"""BrainFlow reads our virtual Cyton and Shimmer3; a recording of the OpenBCI GUI in our codec."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ecg_bridge.cyton import CytonSession
from edge_ecg_bridge.emulators import CytonEmulator, Emulator, Shimmer3Emulator
from edge_ecg_bridge.shimmer3 import commands
from edge_ecg_bridge.shimmer3.exg import ExgRegisters
from edge_ecg_bridge.stream import Samples

DATA = os.environ.get("EDGE_ECG_DATA")
COUNT_UV = 4.5e6 / 24 / (2**23 - 1)


@pytest.mark.skipif(not DATA, reason="needs the recordings")
def test_a_recording_of_the_openbci_gui() -> None:
    """Its numbers, packed by hand as the document says, come out of the session as it wrote them."""
    path = Path(str(DATA)) / "device-files/openbci/OpenBCI_GUI-v6_first10s.txt"
    table = np.array([[float(v) for v in line.split(",")[:12]] for line in path.read_text().splitlines()[5:]])
    counts = np.rint(table[:, 1:9] / COUNT_UV).astype(int)
    axes = np.rint(table[:, 9:12] / 0.000125).astype(int)
    session, found = CytonSession(), []
    session.start(0.0)
    session.on_time(0.3)
    session.receive(b"OpenBCI V3 8-16 channel ADS1299 Firmware: v3.1.1 $$$", 0.4)
    for i, (number, values, xyz) in enumerate(zip(table[:, 0].astype(int), counts, axes, strict=True)):
        packet = bytes((0xA0, number)) + b"".join(int(v & 0xFFFFFF).to_bytes(3, "big") for v in values)
        session.receive(
            packet + b"".join(int(v & 0xFFFF).to_bytes(2, "big") for v in xyz) + b"\xc0", 0.4 + i / 250
        )
        found += [event for event in session.events() if isinstance(event, Samples)]
    ecg_mv = np.concatenate([event.ecg_mv for event in found])
    assert [event.gap_before for event in found if event.gap_before] == []
    assert len(ecg_mv) == len(table) - 1  # the last has no follower yet
    assert np.abs(ecg_mv * 1000 - table[:-1, 1]).max() <= 0.005 + COUNT_UV / 2
    acceleration = np.concatenate([event.acceleration_g for event in found])
    assert np.abs(acceleration - table[:-1, 9:12]).max() <= 0.0006


needs_brainflow = pytest.mark.skipif(
    importlib.util.find_spec("brainflow") is None
    or sys.platform != "linux"
    or platform.machine() != "x86_64",
    reason="needs brainflow, whose wheel is for x86-64 only",
)


def brainflow_reads(kind: Any, device: Emulator, samples: int) -> np.ndarray:
    """Let the unmodified driver of a kind read so many samples from a device on a pseudo-terminal."""
    from brainflow.board_shim import BoardShim, BrainFlowInputParams

    from edge_ecg.sources.pty_host import PtyHost

    BoardShim.disable_board_logger()
    with PtyHost(device) as host:
        server = threading.Thread(target=host.serve)
        server.start()
        params = BrainFlowInputParams()
        params.serial_port = host.port
        board = BoardShim(kind.value, params)
        try:
            board.prepare_session()
            board.start_stream(45_000)
            while board.get_board_data_count() < samples:
                server.join(0.05)
            board.stop_stream()
            data: np.ndarray = board.get_board_data()
        finally:
            if board.is_prepared():
                board.release_session()
            host.stop()
            server.join()
    return data


@needs_brainflow
@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_brainflow_streams_from_the_virtual_shimmer(truth: Callable, ecg: object) -> None:
    """It takes a Shimmer as it was set up before (here: ECG at 512 Hz) and gives the chips' counts."""
    from brainflow.board_shim import BoardIds, BoardShim

    device = Shimmer3Emulator(ecg)
    registers = bytes.fromhex("02A01040402D00000203")
    device.receive(commands.set_rate(64) + commands.set_sensors() + commands.set_exg(0, registers), 0.0)
    device.bytes_to_send(0.0)
    data = brainflow_reads(BoardIds.SHIMMER3_BOARD, device, 600)
    assert (np.diff(data[BoardShim.get_package_num_channel(BoardIds.SHIMMER3_BOARD.value)]) == 1).all()
    raw = data[BoardShim.get_ecg_channels(BoardIds.SHIMMER3_BOARD.value)[0]]
    mv = raw * ExgRegisters(registers).mv_per_count(0)
    assert np.abs(mv - truth(len(mv), 512.0)).max() <= ExgRegisters(registers).mv_per_count(0)


@needs_brainflow
@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_brainflow_streams_from_the_virtual_board(truth: Callable, ecg: object) -> None:
    """Its unmodified driver, through a pseudo-terminal; what it reads is the signal, without a hole."""
    from brainflow.board_shim import BoardIds, BoardShim

    data = brainflow_reads(BoardIds.CYTON_BOARD, CytonEmulator(ecg, acceleration_g=(0.25, -0.5, 1.0)), 300)
    numbers = data[BoardShim.get_package_num_channel(0)].astype(int)
    assert numbers[0] == 0
    assert (np.diff(numbers) % 256 == 1).all()
    ecg_uv = data[BoardShim.get_eeg_channels(0)]
    expected_uv = 1000 * truth(len(numbers), 250.0)
    for channel in range(8):
        assert np.abs(ecg_uv[channel] - (1.0 - 0.1 * channel) * expected_uv).max() <= COUNT_UV
    assert data[BoardShim.get_accel_channels(0)][:, 0].tolist() == [0.25, -0.5, 1.0]
