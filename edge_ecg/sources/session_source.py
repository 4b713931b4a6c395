"""The source that all byte-stream devices share: a reader's thread, a queue, and whoever decides.

    transport -> session -> timeline -> queue -> iteration
    '------- the reader's thread -------'

The thread owns the port from the first byte to the last: it sets the device up, reads, notices silence,
connects again, and stops the stream at the end, whatever the consumer does meanwhile. A device that waits for
whoever reads (a virtual one at full speed) needs no thread: there the consumer reads for itself, nothing is
ever dropped, and every run is the same.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from edge_ecg_bridge.stream import Session

from ..samples import SampleBlock, SourceEvent, SourceInfo
from .acquisition import Acquisition
from .address import Address
from .base import Clock
from .block_queue import BlockQueue
from .reconnect import Connect
from .transport import Transport, is_live

# Longer than a device takes to answer a stop, and than a port takes to open; a radio may take longer, and is
# then left to the thread, which gives it back by itself.
_CLOSE_S = 5.0
_PIECE_S = 0.25


class SessionSource:
    """A device behind a transport; see :class:`edge_ecg.sources.Source`.

    The constructor returns when the device is set up and its rate is known. It takes the transport over and
    closes it, also when it fails.

    Parameters
    ----------
    transport, session:
        The first connection.
    clock:
        Monotonic seconds, for ``arrived_s``.
    kind_prefix:
        Stands before the kind in ``info``.
    connect:
        Makes another connection when the device was lost; None to end with ``DeviceError`` then.
    wait:
        Lets seconds pass between two tries, at most until ``close``; None waits for them. (A virtual device
        at full speed lets its own time pass.)
    speed:
        Seconds of the transports' clock in one of waiting: a virtual device may live faster than its host.

    Raises
    ------
    DeviceError
        When the device cannot be set up.

    """

    def __init__(
        self,
        address: Address,
        transport: Transport,
        session: Session,
        *,
        clock: Clock = time.monotonic,
        kind_prefix: str = "",
        connect: Connect | None = None,
        wait: Callable[[float], object] | None = None,
        speed: float = 1.0,
    ) -> None:
        self._closing = threading.Event()
        self._queue = BlockQueue()
        self._opened: Future[SourceInfo] = Future()
        self._stopped = threading.Event()
        self._acquisition = Acquisition(
            address,
            transport,
            session,
            clock=clock,
            kind_prefix=kind_prefix,
            connect=connect,
            wait=wait or (lambda seconds: self._closing.wait(seconds / speed)),
            closing=self._closing,
        )
        self._reader: threading.Thread | None = None
        # A program that ends without closing its source must not leave the device streaming.
        atexit.register(self.close)
        try:
            if is_live(transport):
                self._reader = threading.Thread(target=self._read, name=f"reader of {address}", daemon=True)
                self._reader.start()
                self._info = self._wait_until_open()
            else:
                self._info = self._acquisition.open()
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> SourceInfo:
        """Address, kind, rate and what the device said of itself."""
        return self._info

    @property
    def counters(self) -> Mapping[str, int]:
        """What was thrown away so far by the device's sessions and by the queue; and the reconnections."""
        own = {"reconnects": self._acquisition.reconnects, "samples_dropped": self._queue.samples_dropped}
        return dict(self._acquisition.counters) | own

    @property
    def turns(self) -> int:
        """A number that rises while the reader works (:class:`~edge_ecg.sources.acquisition.Acquisition`)."""
        return self._acquisition.turns

    def end_at(self, device_s: float) -> None:
        """Let the iteration end when the device is away at that device time; ``over_time`` then says so."""
        self._acquisition.limit_s = device_s

    @property
    def over_time(self) -> bool:
        """Whether the iteration ended because the device was still away at the time given."""
        return self._acquisition.over_time

    def __iter__(self) -> Iterator[SampleBlock | SourceEvent]:
        yield from self._acquisition.items() if self._reader is None else self._queue

    def close(self) -> None:
        """Stop the device's stream and give the port back."""
        self._closing.set()
        self._queue.close()
        if self._reader is None:
            self._acquisition.shut()
        elif self._reader is not threading.current_thread():
            # An event, not join(): a join that Ctrl-C interrupts takes the thread for ended (CPython 3.11).
            if not self._stopped.wait(_CLOSE_S):
                return
            self._reader.join()
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the reader's thread ---------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            try:
                self._opened.set_result(self._acquisition.open())
                for item in self._acquisition.items():
                    self._queue.put(item)
            finally:
                self._acquisition.shut()
        except BaseException as error:  # whatever it is, it is the consumer's to see
            if self._opened.done():
                self._queue.end(error)
            else:
                self._opened.set_exception(error)
        else:
            self._queue.end()
        finally:
            self._stopped.set()

    def _wait_until_open(self) -> SourceInfo:
        while True:
            try:
                return self._opened.result(_PIECE_S)  # in pieces, so that Ctrl-C is heard on every system
            except TimeoutError:
                if self._opened.done():
                    raise
