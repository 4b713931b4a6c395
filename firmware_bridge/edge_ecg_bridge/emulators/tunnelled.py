"""Virtual Bluetooth LE devices behind a byte stream: what ``sim:`` addresses, ptys and faults take."""

from __future__ import annotations

from collections.abc import Callable

from ..gatt_pipe import GANGLION
from ..stream import FloatArray
from .base import Signal
from .ganglion import GanglionEmulator
from .gatt import TunnelEmulator
from .movesense import MovesenseEmulator
from .pipe import PipeEmulator
from .polar import POWER_UP_NS, PolarEmulator, standing


def tunnelled_polar(
    signal: Signal,
    *,
    counter: int = POWER_UP_NS,
    rate_error: float = 0.0,
    already_streaming: bool = False,
    electrode_off: Callable[[float], bool] | None = None,
    motion: Callable[[FloatArray], FloatArray] = standing,
    loop: bool = False,
    seed: int = 0,
) -> TunnelEmulator:
    """Return a Polar H10; the arguments are those of :class:`PolarEmulator`."""
    device = PolarEmulator(
        signal,
        counter=counter,
        rate_error=rate_error,
        already_streaming=already_streaming,
        electrode_off=electrode_off,
        motion=motion,
        loop=loop,
        seed=seed,
    )
    return TunnelEmulator(device)


def tunnelled_movesense(
    signal: Signal,
    *,
    counter: int = 0,
    rate_error: float = 0.0,
    motion: Callable[[FloatArray], FloatArray] = standing,
    loop: bool = False,
    seed: int = 0,
) -> TunnelEmulator:
    """Return a Movesense sensor; the arguments are those of :class:`MovesenseEmulator`."""
    device = MovesenseEmulator(
        signal, counter=counter, rate_error=rate_error, motion=motion, loop=loop, seed=seed
    )
    return TunnelEmulator(device)


def tunnelled_ganglion(
    signal: Signal,
    *,
    rate_error: float = 0.0,
    already_streaming: bool = False,
    electrode_off: Callable[[float], bool] | None = None,
    loop: bool = False,
) -> TunnelEmulator:
    """Return an OpenBCI Ganglion; the arguments are those of :class:`GanglionEmulator`."""
    board = GanglionEmulator(
        signal,
        rate_error=rate_error,
        already_streaming=already_streaming,
        electrode_off=electrode_off,
        loop=loop,
    )
    return TunnelEmulator(PipeEmulator(board, GANGLION, name="Ganglion-1a2b"))
