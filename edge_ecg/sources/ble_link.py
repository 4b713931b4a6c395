"""One link to a Bluetooth LE device, as a transport that carries the records of ``gatt_wire``."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from edge_ecg_bridge.gatt import (
    Action,
    Connect,
    Connected,
    Done,
    Happening,
    Pair,
    Read,
    Refused,
    Subscribe,
    Unsubscribe,
    Value,
    Write,
)
from edge_ecg_bridge.gatt_wire import RecordReader, encode

from . import ble_faults
from .base import Clock
from .radio_loop import RadioLoop, radio_loop
from .transport import TransportLostError

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice

CONNECT_S = 20.0
_CONNECT_TRIES = 3
_RETRY_PAUSE_S = 0.3
_ACTION_S = 10.0
_PAIR_S = 30.0
_CLOSE_S = 5.0
# Happenings that wait to be read: minutes of a chest strap. Then the oldest values go, and are counted.
_MAX_WAITING = 4096


class BleLink:
    """A connected device; see :class:`edge_ecg.sources.transport.Transport`.

    Each link has a client of its own, so that what bleak says of one that failed or ended never touches
    another: its "disconnected" also comes for an attempt that was aborted and then succeeded, and does not
    come at all when the Bluetooth daemon dies. Only silence tells that.

    Parameters
    ----------
    device:
        What a scan found.
    name:
        What to call it.
    clock:
        Monotonic seconds.

    Attributes
    ----------
    values_dropped:
        Values that nobody read in time.

    Raises
    ------
    DeviceError
        When no link comes about, with what to do about it.

    """

    def __init__(
        self, device: BLEDevice, name: str, *, clock: Clock = time.monotonic, radio: RadioLoop | None = None
    ) -> None:
        self.values_dropped = 0
        self._device, self._name = device, name
        self._clock = clock
        self._radio = radio or radio_loop()
        self._reader = RecordReader()
        self._news = threading.Condition()
        self._waiting: deque[Happening] = deque()
        self._lost = ""
        self._closed = False
        self._up = False
        self._client: BleakClient | None = None
        self._characteristics: dict[str, BleakGATTCharacteristic] = {}
        self._todo: asyncio.Queue[Action] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        try:
            self._radio.run(self._connect())
        except BaseException:
            self.close()
            raise

    @property
    def lost(self) -> bool:
        """Whether the link is known to be gone; a dead Bluetooth daemon leaves this False."""
        return bool(self._lost)

    # -- the transport protocol ------------------------------------------------------------------------

    def now(self) -> float:
        """Return the host clock."""
        return self._clock()

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        """Wait up to ``timeout_s`` for happenings, then ``gather_s`` for others, and return their records.

        Raises
        ------
        TransportLostError
            When the link is gone and everything that came over it was read.

        """
        with self._news:
            if not self._waiting and not self._lost:
                self._news.wait(timeout_s)
            if self._waiting and gather_s and not self._lost:
                self._news.wait_for(lambda: bool(self._lost), gather_s)
            happenings = list(self._waiting)
            self._waiting.clear()
            lost = self._lost
        if lost and not happenings:
            raise TransportLostError(lost)
        return b"".join(map(encode, happenings))

    def write(self, data: bytes) -> None:
        """Have actions carried out, in their order."""
        if self._lost:
            raise TransportLostError(self._lost)
        for message in self._reader.feed(data):
            if isinstance(message, Connect):
                self._put(Connected(frozenset(self._characteristics), self._name))
            elif isinstance(message, Pair | Subscribe | Unsubscribe | Read | Write):
                self._radio.loop.call_soon_threadsafe(self._todo.put_nowait, message)

    def close(self) -> None:
        """End the link; may be called twice."""
        if self._closed:
            return
        self._closed = True
        with suppress(Exception):
            self._radio.run(self._disconnect(), _CLOSE_S + _ACTION_S)

    # -- in the radio's loop ---------------------------------------------------------------------------

    async def _connect(self) -> None:
        from bleak import BleakClient

        for attempt in range(1, _CONNECT_TRIES + 1):
            client = BleakClient(self._device, disconnected_callback=self._gone, timeout=CONNECT_S)
            self._client = client
            try:
                async with asyncio.timeout(CONNECT_S + _ACTION_S):
                    await client.connect()
                break
            except Exception as error:  # a backend's own errors come through bleak as they are
                if attempt == _CONNECT_TRIES or not ble_faults.is_passing(error):
                    raise ble_faults.explain_connect(self._name, error) from error
            await asyncio.sleep(_RETRY_PAUSE_S)
        self._up = True
        if not client.is_connected:  # lost before it was up, when that was not heeded
            self._gone(client)
            return
        for service in client.services:
            for characteristic in service.characteristics:
                self._characteristics.setdefault(characteristic.uuid.lower(), characteristic)
        self._worker = asyncio.create_task(self._work())

    async def _disconnect(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._up = False
        if self._client is not None:
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE_S):
                    await self._client.disconnect()

    def _gone(self, client: BleakClient) -> None:
        """Note that the link is lost, unless it was never up: bleak says so of aborted attempts too."""
        if client is self._client and self._up:
            with self._news:
                self._lost = (
                    self._lost or "The Bluetooth link broke: out of range, switched off, or taken off."
                )
                self._news.notify_all()

    def _put(self, happening: Happening) -> None:
        with self._news:
            if len(self._waiting) >= _MAX_WAITING:
                oldest = self._waiting.popleft()
                self.values_dropped += isinstance(oldest, Value)
            self._waiting.append(happening)
            self._news.notify_all()

    def _value(self, uuid: str, _: BleakGATTCharacteristic, data: bytearray) -> None:
        self._put(Value(uuid, bytes(data)))

    async def _work(self) -> None:
        while True:
            action = await self._todo.get()
            uuid = "" if isinstance(action, Connect | Pair) else action.characteristic
            try:
                async with asyncio.timeout(_PAIR_S if isinstance(action, Pair) else _ACTION_S):
                    self._put(Done(uuid, await self._do(action)))
            except Exception as error:  # a backend's own errors come through bleak as they are
                text = str(error) or f"No answer within {_ACTION_S:g} s."
                self._put(Refused(uuid, ble_faults.att_code(error), text))

    async def _do(self, action: Action) -> bytes:
        from bleak.exc import BleakCharacteristicNotFoundError

        client = self._client
        assert client is not None
        if isinstance(action, Connect | Pair):
            await client.pair()
            return b""
        one = self._characteristics.get(action.characteristic)
        if one is None:
            raise BleakCharacteristicNotFoundError(action.characteristic)
        match action:
            case Subscribe(uuid):
                await client.start_notify(one, partial(self._value, uuid))
            case Unsubscribe():
                await client.stop_notify(one)
            case Read():
                return bytes(await client.read_gatt_char(one))
            case Write(_, data, response):
                await client.write_gatt_char(one, data, response=response)
        return b""
