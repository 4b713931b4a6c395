"""Boards behind a Nordic UART: what they speak is found out, over the link and by their bytes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import FramedEmulator, OpenViewEmulator, PipeEmulator, Reservoir, TextEmulator
from edge_ecg_bridge.framed import ASK_INFO, FramedSession
from edge_ecg_bridge.gatt_pipe import NORDIC_UART, PipeSession
from edge_ecg_bridge.openview import OpenViewSession
from edge_ecg_bridge.stream import BridgeError, Session
from edge_ecg_bridge.synthetic import SyntheticEcg
from edge_ecg_bridge.text import TextSession
from edge_ecg_bridge.uart_board import UartBoardSession, recognise

ECG = SyntheticEcg(seed=3)
SESSIONS: dict[str, Callable[[], Session]] = {
    "framed": FramedSession,
    "openview": OpenViewSession,
    "text": TextSession,
}


def board_session(chosen: list[str]) -> UartBoardSession:
    def choose(kind: str) -> Session:
        chosen.append(kind)
        return SESSIONS[kind]()

    return UartBoardSession(choose)


@pytest.mark.parametrize(
    ("board", "kind"),
    [
        (FramedEmulator(ECG), "framed"),
        (FramedEmulator(ECG, already_streaming=True), "framed"),
        (OpenViewEmulator(ECG), "openview"),
        (TextEmulator(ECG, line="us,adc"), "text"),
        (TextEmulator(ECG, line="adc"), "text"),
    ],
    ids=["framed", "framed, streaming", "openview", "text", "text without time"],
)
def test_each_board_is_found_out_and_streams(talk: Callable, board: Any, kind: str) -> None:
    chosen: list[str] = []
    said = talk(PipeSession(board_session(chosen)), PipeEmulator(board, NORDIC_UART, name="ECG board"), 12.0)
    assert chosen == [kind]
    assert said.ready.device == kind
    assert said.lost == 0
    assert len(said.ecg_mv) > 3 * said.ready.fs_hz


def test_a_framed_board_loses_nothing_on_the_way(talk: Callable) -> None:
    said = talk(
        PipeSession(board_session([])), PipeEmulator(FramedEmulator(ECG), NORDIC_UART, name="ECG board")
    )
    n = len(said.ecg_mv)
    assert said.numbers.tolist() == list(range(n))
    # The board has streamed since it was switched on: its first samples were nobody's.
    windows = np.lib.stride_tricks.sliding_window_view(Reservoir(ECG(256.0)).take(n + 512), n)
    assert np.abs(windows - said.ecg_mv).max(axis=1).min() < 4.6e-3
    said.stop()


def test_what_is_asked_and_when() -> None:
    session = board_session([])
    session.start(10.0)
    asked = []
    for step in range(49):
        session.on_time(10.0 + 0.1 * step)
        asked += [round(0.1 * step, 1)] if session.bytes_to_send() == ASK_INFO else []
    assert asked == [0.3, 1.0, 2.0]
    session.stop(15.0)
    assert session.finished
    assert session.counters == {}


@pytest.mark.parametrize(
    ("heard", "what"),
    [(b"", "sent nothing over its UART"), (b"hello\r\n" * 30, "nothing that edge-ecg knows")],
)
def test_what_is_no_ecg_is_named(heard: bytes, what: str) -> None:
    session = board_session([])
    session.start(0.0)
    session.receive(heard, 0.1)
    with pytest.raises(BridgeError, match=what) as caught:
        session.on_time(5.0)
    assert caught.value.remedy


@given(st.binary(max_size=400))
def test_noise_is_taken_for_text_at_most_where_it_reads_as_lines(noise: bytes) -> None:
    assert recognise(noise) in (None, "text")
