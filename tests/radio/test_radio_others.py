"""Movesense, a Nordic UART board, a Ganglion and a Shimmer3R through unmodified bleak."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_ecg_bridge.emulators import (
    FaultyLink,
    FramedEmulator,
    MovesenseEmulator,
    PipeEmulator,
    Reservoir,
    Shimmer3Emulator,
    TextEmulator,
    tunnelled_ganglion,
)
from edge_ecg_bridge.gatt_pipe import CYSPP, NORDIC_UART, TRANSPARENT_UART, Pipe
from edge_ecg_bridge.movesense.wire import MV_PER_COUNT
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
QUANTUM_MV = 2420.0 / 4 / (2**23 - 1)


def expected_mv(n: int, fs_hz: float = 256.0) -> np.ndarray:
    return Reservoir(ECG(fs_hz)).take(n)


def test_movesense(air: Callable, meet: Callable) -> None:
    sensor = FaultyLink(MovesenseEmulator(ECG, counter=2**32 - 2000), lost=(40, 41), doubled=(50,))
    said = meet(air(sensor), "ble:Movesense 174630000192")
    said.listen(5 * 256)
    assert said.ready.fs_hz == 256.0
    assert said.lost == sensor.samples_lost == 32
    assert said.session.counters["duplicates"] == 1
    truth = expected_mv(said.numbers[-1] + 1)[said.numbers]
    assert np.abs(said.ecg_mv - truth).max() <= MV_PER_COUNT / 2 * 1.001
    assert np.abs(said.time_s - said.numbers / 256).max() < 0.002  # the stamps are whole milliseconds
    said.stop()
    assert not sensor.device.running


def test_movesense_without_such_a_rate(air: Callable, meet: Callable) -> None:
    sensor = MovesenseEmulator(ECG, rates_hz=(125, 250))
    said = meet(air(sensor), "ble:Movesense 174630000192?rate=256")
    with pytest.raises(BridgeError, match="no ECG at 256 Hz") as caught:
        said.listen(1)
    assert "404" in caught.value.why


def test_a_nordic_uart_board_that_prints_lines(air: Callable, meet: Callable) -> None:
    board = PipeEmulator(TextEmulator(ECG, line="us,adc"), NORDIC_UART, name="ECG board")
    said = meet(air(board, speed=2.5), "ble:ECG board")
    said.listen(500)
    assert (said.ready.device, said.ready.fs_hz) == ("text", 250.0)
    assert said.lost == 0
    step_mv = 5000.0 / 1024 / 1100
    assert np.corrcoef(said.ecg_mv[:-1], said.ecg_mv[1:])[0, 1] > 0.8  # an ECG, not noise
    assert np.abs(said.ecg_mv / step_mv - np.rint(said.ecg_mv / step_mv)).max() < 1e-6


def test_a_nordic_uart_board_with_frames(air: Callable, meet: Callable) -> None:
    """Nothing but its bytes tells it from one that prints."""
    board = PipeEmulator(FramedEmulator(ECG), NORDIC_UART, name="ECG board")
    said = meet(air(board, speed=2.0), "ble:ECG board")
    said.listen(500)
    assert (said.ready.device, said.ready.fs_hz) == ("framed", 256.0)
    assert said.lost == 0
    said.stop()


def test_a_ganglion_that_still_streams(air: Callable, meet: Callable) -> None:
    board = tunnelled_ganglion(ECG, already_streaming=True).device
    # Whether a whole second was lost only the clock tells: one ten times as fast makes seconds of hiccups.
    said = meet(air(board, speed=2.0), "ble:Ganglion")
    said.listen(400)
    assert (said.ready.device, said.ready.fs_hz) == ("ganglion", 200.0)
    assert said.lost == 0
    assert np.abs(said.ecg_mv - expected_mv(said.count, 200.0)).max() <= 0.25e-3  # 18 of 24 bits
    said.stop()
    assert not board.inner.streaming


@pytest.mark.parametrize(("pipe", "hardware"), [(CYSPP, 10), (TRANSPARENT_UART, 3)], ids=["3R", "3"])
def test_a_shimmer(air: Callable, meet: Callable, pipe: Pipe, hardware: int) -> None:
    shimmer = Shimmer3Emulator(ECG, hardware=hardware)
    said = meet(air(PipeEmulator(shimmer, pipe, name="Shimmer3R-1A2B-BLE"), speed=2.0), "ble:Shimmer3")
    said.listen(500)
    assert (said.ready.device, said.ready.fs_hz) == ("shimmer3", 256.0)
    assert said.lost == 0
    assert np.abs(said.ecg_mv - expected_mv(said.count)).max() <= QUANTUM_MV / 2 * 1.001
    said.stop()
    assert not shimmer.streaming
