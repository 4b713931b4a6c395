"""The control point of a virtual Polar H10: what it offers, and how it answers commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..gatt import BATTERY_LEVEL, FIRMWARE_REVISION, HEART_RATE, short_uuid
from ..polar import pmd
from ..polar.pmd import Measurement, Operation, Setting, Status
from .gatt import Characteristic, Service
from .polar_frames import PolarMeasurements

_OFFERED: Mapping[int, Mapping[int, tuple[int, ...]]] = {
    Measurement.ECG: {Setting.RATE_HZ: (130,), Setting.RESOLUTION_BITS: (14,)},
    Measurement.ACCELERATION: {
        Setting.RATE_HZ: (200, 100, 50, 25),
        Setting.RESOLUTION_BITS: (16,),
        Setting.RANGE: (8, 4, 2),
    },
}
_BAD_SETTING = {
    Setting.RATE_HZ: Status.INVALID_RATE,
    Setting.RESOLUTION_BITS: Status.INVALID_RESOLUTION,
    Setting.RANGE: Status.INVALID_RANGE,
}


class PolarControl:
    """Answers commands, and begins and ends measurements by them.

    Parameters
    ----------
    measuring:
        What runs.
    statuses:
        (operation, measurement) -> the statuses to answer with, one after the other, before the right ones.

    """

    def __init__(
        self, measuring: PolarMeasurements, statuses: Mapping[tuple[int, int], Sequence[int]]
    ) -> None:
        self._measuring = measuring
        self._statuses = {key: list(values) for key, values in statuses.items()}

    def obey(self, data: bytes, now_s: float) -> bytes:
        """Take a command and return the answer."""
        operation, kind = (data[0], data[1]) if len(data) >= 2 else (0, 0)
        scripted = self._statuses.get((operation, kind))
        if scripted:
            return pmd.response(operation, kind, scripted.pop(0))
        if operation not in set(Operation):
            return pmd.response(operation, kind, Status.INVALID_OPERATION)
        if kind not in _OFFERED:
            return pmd.response(operation, kind, Status.INVALID_MEASUREMENT)
        if operation == Operation.GET_SETTINGS:
            return pmd.response(operation, kind, Status.SUCCESS, pmd.settings_bytes(_OFFERED[kind]))
        if operation == Operation.STOP:
            stopped = self._measuring.running.pop(kind, None) is not None
            return pmd.response(operation, kind, Status.SUCCESS if stopped else Status.ALREADY_IN_STATE)
        if kind in self._measuring.running:
            return pmd.response(operation, kind, Status.ALREADY_IN_STATE)
        asked = pmd.read_settings(data[2:])
        for setting, possible in _OFFERED[kind].items():
            if len(asked.get(setting, ())) != 1 or asked[setting][0] not in possible:
                return pmd.response(operation, kind, _BAD_SETTING[Setting(setting)])
        if kind == Measurement.ACCELERATION:
            self._measuring.acceleration_hz = asked[Setting.RATE_HZ][0]
        self._measuring.begin(kind, now_s)
        return pmd.response(operation, kind, Status.SUCCESS)


def services(*, old_firmware: bool) -> tuple[Service, ...]:
    """Return the services of a strap; an old one has no measurement service."""

    def one(uuid: str, *properties: str) -> Characteristic:
        return Characteristic(uuid, frozenset(properties))

    if old_firmware:
        marks = tuple(one(uuid, "read", "notify") for uuid in pmd.OLD_SERVICE_MARKS)
        own = Service("fb005c50-02e7-f387-1cad-8acd2d8df0c8", marks)
    else:
        control = one(pmd.PMD_CONTROL, "read", "write", "indicate")
        own = Service(pmd.PMD_SERVICE, (control, one(pmd.PMD_DATA, "notify")))
    return (
        Service(short_uuid(0x180D), (one(HEART_RATE, "notify"),)),
        Service(short_uuid(0x180F), (one(BATTERY_LEVEL, "read", "notify"),)),
        Service(short_uuid(0x180A), (one(FIRMWARE_REVISION, "read"),)),
        own,
    )
