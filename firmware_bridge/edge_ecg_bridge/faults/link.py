"""A device behind a bad link: an emulator around another one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import cast

import numpy as np

from ..emulators.base import Emulator, Unit, joined
from .catalogue import Layer, PlannedFault, by_layer
from .stages import STAGES, Parcel, Stage
from .truth import Damage, Harm, Truth

_PIECE_BYTES = 7
_AWAY = {"unplug": "UNPLUGGED", "ble-drop": "DROPPED", "stale-bluez": "STALE"}


class LinkState(Enum):
    """Whether a host can talk to the device."""

    UP = 0
    UNPLUGGED = 1
    """The port is gone."""
    DROPPED = 2
    """A radio link broke; it can be made again when the state is UP."""
    STALE = 3
    """The radio's daemon is dead: the link looks alive."""


class FaultyEmulator:
    """See :class:`edge_ecg_bridge.emulators.Emulator`: the same device, with faults on the way.

    Times of faults count from the first sample that the device sends. Who carries the bytes asks
    :meth:`state` whether there is a link at all.

    Parameters
    ----------
    emulator:
        The device.
    faults:
        Those of the link and of the radio take effect here; others are ignored.
    seed:
        Of which bit is flipped and where packets are cut.

    Attributes
    ----------
    truth:
        What really happened.
    device:
        The emulator inside.

    """

    def __init__(self, emulator: Emulator, faults: Sequence[PlannedFault], *, seed: int = 0) -> None:
        self.device = emulator
        self.truth = Truth()
        planned = by_layer(faults, Layer.LINK, Layer.RADIO)
        self._rng = np.random.default_rng((seed, 0xFA17))
        self._stages: list[Stage] = [
            cast(Stage, make(plan, self.truth, self._rng))
            for name, make in STAGES.items()
            for plan in planned
            if plan.name == name
        ]
        self._away = [plan for plan in planned if plan.name in _AWAY]
        self._strikes = [0] * len(self._away)
        self._trickles = any(plan.name == "trickle" for plan in planned)
        self._pieces = b""
        self._begin_s: float | None = None
        self._streams = getattr(emulator, "streams", 0)
        self._fetched_s = 0.0

    # -- the link --------------------------------------------------------------------------------------

    def state(self, now_s: float) -> LinkState:
        """Return whether a host can talk to the device."""
        if self._begin_s is not None:
            for plan in self._away:
                if plan.active(now_s - self._begin_s):
                    return LinkState[_AWAY[plan.name]]
        return LinkState.UP

    def _watch_link(self, now_s: float) -> bool:
        """Notice that the link went or came back, also while nobody looked; return whether it is up."""
        t_s = now_s - (self._begin_s or 0.0)
        for number, plan in enumerate(self._away if self._begin_s is not None else []):
            begun = plan.strikes(t_s)
            if begun > self._strikes[number]:
                self._strikes[number] = begun
                self.truth.strike(plan.name)
                until_s = plan.until_s(t_s)
                self.truth.away.append((until_s - plan.seconds, until_s))
                self.link_lost()
        return self.state(now_s) is LinkState.UP

    # -- the emulator protocol -------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the device has hung up for good."""
        return self.device.ended and not self._pieces

    @property
    def recording_over(self) -> bool:
        """Whether it hung up because its recording is over."""
        return bool(getattr(self.device, "recording_over", False))

    @property
    def next_due_s(self) -> float | None:
        """When there will be more to send."""
        if self._pieces:
            return -math.inf
        due_s = [self._begin_s + stage.due_s for stage in self._stages] if self._begin_s is not None else []
        if self.device.next_due_s is not None:
            due_s.append(self.device.next_due_s)
        soonest = min(due_s, default=math.inf)
        return None if soonest == math.inf else soonest

    def link_lost(self) -> None:
        """Lose what is on its way, and tell the device."""
        for stage in self._stages:
            stage.clear()
        self._pieces = b""
        self.device.link_lost()

    def receive(self, data: bytes, now_s: float) -> None:
        """Carry bytes to the device, if there is a link."""
        if self._watch_link(now_s):
            self.device.receive(data, now_s)

    def bytes_to_send(self, now_s: float) -> bytes:
        """Return what has arrived up to now."""
        data = joined(self._pass(now_s))
        if not self._trickles:
            return data
        self._pieces += data
        size = int(self._rng.integers(1, _PIECE_BYTES + 1))
        piece, self._pieces = self._pieces[:size], self._pieces[size:]
        return piece

    def units(self, now_s: float) -> list[Unit]:
        """Return the same, packet by packet."""
        if not self._trickles:
            return self._pass(now_s)
        data = self.bytes_to_send(now_s)
        return [Unit(data)] if data else []

    def _pass(self, now_s: float) -> list[Unit]:
        up = self._watch_link(now_s)
        fresh = self.device.units(now_s)
        streams = getattr(self.device, "streams", 0)
        if streams != self._streams:
            self._streams = streams
            self._new_stream(now_s)
        # What is fetched at once was sent bit by bit since the last time.
        since_s, self._fetched_s = min(self._fetched_s, now_s), now_s
        step_s = (now_s - since_s) / max(len(fresh), 1)
        parcels = [self._number(unit, since_s + (i + 1) * step_s) for i, unit in enumerate(fresh)]
        parcels = [parcel for parcel in parcels if self._is_heard(parcel)]
        if not up:
            return []
        t_s = 0.0 if self._begin_s is None else now_s - self._begin_s
        for stage in self._stages:
            parcels = stage.push(parcels, t_s)
        return [Unit(parcel.data, parcel.samples) for parcel in parcels]

    def _new_stream(self, now_s: float) -> None:
        """Begin to count anew; what was held back belongs to the stream before."""
        for stage in self._stages:
            stage.clear()
        self.truth.new_stream(now_s)

    def _number(self, unit: Unit, sent_s: float) -> Parcel:
        if unit.samples and self._begin_s is None:
            self._begin_s = sent_s
        first = self.truth.sent if unit.first is None else unit.first
        self.truth.sent = first + unit.samples
        return Parcel(unit.data, first, unit.samples, sent_s - (self._begin_s or 0.0))

    def _is_heard(self, parcel: Parcel) -> bool:
        """Whether there was a link when something was sent; the device goes on without one."""
        if self._begin_s is None:
            return True
        plan = next((plan for plan in self._away if plan.active(parcel.t_s)), None)
        if plan is not None and parcel.samples:
            self.truth.damages.append(Damage(parcel.first, parcel.samples, plan.name, Harm.LOST, parcel.t_s))
        return plan is None
