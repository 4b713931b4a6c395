"""The steps that set a Polar strap up for ECG and acceleration."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from ..gatt import (
    ATT_NEEDS_PAIRING,
    BATTERY_LEVEL,
    FIRMWARE_REVISION,
    HEART_RATE,
    Connected,
    Pair,
    Read,
    Refused,
    Subscribe,
    Write,
)
from ..gatt_script import PAIR_S, Ask, NoAnswerError, Pause, RefusedError, asked
from ..stream import BridgeError, Detail
from . import failures, pmd
from .pmd import Measurement, Operation, Response, Setting, Status

NOMINAL_HZ = 130
RESOLUTION_BITS = 14
ACCELERATION_RATES_HZ = (0, 25, 50, 100, 200)
# After a stop, so that the frames of the old stream are through.
_SETTLE_S = 0.5

Steps = Generator[Ask | Pause, bytes, bytes]


@dataclass(frozen=True, slots=True)
class PolarSettings:
    """What to set up.

    Attributes
    ----------
    acceleration_hz:
        25, 50, 100 or 200; 0 for none. Where the strap has not that rate, the nearest is taken.
    acceleration_range_g:
        2, 4 or 8.
    pair:
        Make a bond before anything else; without it one is made when the strap asks for one.

    """

    acceleration_hz: int = 50
    acceleration_range_g: int = 4
    pair: bool = False


@dataclass(slots=True)
class Started:
    """What was started.

    Attributes
    ----------
    details:
        What the strap said of itself.
    acceleration_hz, acceleration_factor:
        Rate of the accelerometer (0: none), and what its compressed samples are multiplied by.

    """

    details: dict[str, Detail] = field(default_factory=dict)
    acceleration_hz: int = 0
    acceleration_factor: float = 1.0


class Setup:
    """Sets one strap up.

    Attributes
    ----------
    listening:
        Whether the frames that come belong to the stream that was asked for.

    """

    def __init__(self, settings: PolarSettings) -> None:
        self._settings = settings
        self._paired = False
        self.listening = False

    def steps(self, found: Connected) -> Generator[Ask | Pause, bytes, Started]:
        """Yield the steps; raise BridgeError when the strap cannot be used."""
        if pmd.PMD_CONTROL not in found.characteristics:
            raise failures.no_pmd(found)
        if self._settings.pair:
            yield from self._pair()
        started = Started()
        features = yield from self._do(Ask(Read(pmd.PMD_CONTROL)))
        measurements = features[1] if features[:1] == bytes((pmd.FEATURES,)) and len(features) > 1 else 1
        if not measurements >> Measurement.ECG & 1:
            raise failures.no_ecg(found)
        yield from self._about(found, started)
        # In this order: an answer or a frame may come as soon as the next step is taken.
        yield from self._do(Ask(Subscribe(pmd.PMD_CONTROL)))
        yield from self._do(Ask(Subscribe(pmd.PMD_DATA)))
        yield from self._start_ecg()
        if self._settings.acceleration_hz and measurements >> Measurement.ACCELERATION & 1:
            yield from self._start_acceleration(started)
        if HEART_RATE in found.characteristics:
            yield from asked(Ask(Subscribe(HEART_RATE), tries=1))
        return started

    # -- steps -----------------------------------------------------------------------------------------

    def _about(self, found: Connected, started: Started) -> Generator[Ask | Pause, bytes, None]:
        if found.name:
            started.details["name"] = found.name
        if BATTERY_LEVEL in found.characteristics:
            battery = yield from asked(Ask(Read(BATTERY_LEVEL), tries=1))
            if battery:
                started.details["battery_percent"] = battery[0]
        if FIRMWARE_REVISION in found.characteristics:
            firmware = yield from asked(Ask(Read(FIRMWARE_REVISION), tries=1))
            if firmware:
                started.details["firmware"] = firmware.decode(errors="replace").strip("\0 ")

    def _start_ecg(self) -> Generator[Ask | Pause, bytes, None]:
        offered = yield from self._command(Operation.GET_SETTINGS, Measurement.ECG)
        chosen: dict[int, int] = {Setting.RATE_HZ: NOMINAL_HZ, Setting.RESOLUTION_BITS: RESOLUTION_BITS}
        for setting, value in chosen.items():
            possible = offered.settings.get(setting, (value,))
            if possible and value not in possible:
                chosen[setting] = min(possible, key=lambda one: abs(one - value))
        if chosen[Setting.RATE_HZ] != NOMINAL_HZ:
            raise BridgeError(
                f"The strap measures ECG at {chosen[Setting.RATE_HZ]} Hz, not at {NOMINAL_HZ} Hz.",
                why="It is a product that edge-ecg does not know.",
                remedy="Use a Polar H10.",
            )
        start = pmd.start(Measurement.ECG, chosen)
        self.listening = True
        answer = yield from self._command(Operation.START, Measurement.ECG, start)
        if answer.status == Status.ALREADY_IN_STATE:
            # Left over from a program that died: that stream is stopped, and a new one begun.
            self.listening = False
            yield from self._command(Operation.STOP, Measurement.ECG, pmd.stop(Measurement.ECG))
            yield Pause(_SETTLE_S)
            self.listening = True
            answer = yield from self._command(Operation.START, Measurement.ECG, start)
        if answer.status != Status.SUCCESS:
            raise failures.refused(answer)

    def _start_acceleration(self, started: Started) -> Generator[Ask | Pause, bytes, None]:
        """Start the accelerometer; an ECG without it is better than none."""
        kind = Measurement.ACCELERATION
        try:
            offered = yield from self._command(Operation.GET_SETTINGS, kind)
            wanted: dict[int, int] = {
                Setting.RATE_HZ: self._settings.acceleration_hz,
                Setting.RESOLUTION_BITS: 16,
                Setting.RANGE: self._settings.acceleration_range_g,
            }
            chosen = {
                setting: min(offered.settings[setting], key=lambda one: abs(one - value))
                for setting, value in wanted.items()
                if offered.settings.get(setting)
            }
            if channels := offered.settings.get(Setting.CHANNELS):
                chosen[Setting.CHANNELS] = channels[0]
            answer = yield from self._command(Operation.START, kind, pmd.start(kind, chosen))
            if answer.status == Status.ALREADY_IN_STATE:
                yield from self._command(Operation.STOP, kind, pmd.stop(kind))
                answer = yield from self._command(Operation.START, kind, pmd.start(kind, chosen))
        except BridgeError as error:
            started.details["acceleration"] = f"none: {error.why or error.what}"
            return
        if answer.status != Status.SUCCESS:
            started.details["acceleration"] = f"none: {failures.words(answer.status)[0]}"
            return
        started.acceleration_hz = chosen.get(Setting.RATE_HZ, self._settings.acceleration_hz)
        started.acceleration_factor = answer.factor
        started.details["acceleration_hz"] = started.acceleration_hz

    def _command(
        self, operation: int, measurement: int, command: bytes | None = None
    ) -> Generator[Ask | Pause, bytes, Response]:
        data = pmd.get_settings(measurement) if command is None else command
        answer = yield from self._do(
            Ask(
                Write(pmd.PMD_CONTROL, data),
                reply=lambda value: pmd.is_response(value, operation, measurement),
                reply_on=pmd.PMD_CONTROL,
            )
        )
        return pmd.read_response(answer)

    def _do(self, step: Ask) -> Steps:
        """Do a step that must succeed, with one pairing when the strap asks for it."""
        try:
            return (yield step)
        except RefusedError as refused:
            if refused.code not in ATT_NEEDS_PAIRING or self._paired:
                raise failures.failed(refused) from None
        except NoAnswerError:
            raise failures.no_answer() from None
        yield from self._pair()
        try:
            return (yield step)
        except RefusedError as refused:
            raise failures.failed(refused) from None
        except NoAnswerError:
            raise failures.no_answer() from None

    def _pair(self) -> Generator[Ask | Pause, bytes, None]:
        self._paired = True
        try:
            yield Ask(Pair(), timeout_s=PAIR_S, tries=1)
        except (RefusedError, NoAnswerError) as error:
            refused = error if isinstance(error, RefusedError) else RefusedError(Refused())
            raise failures.not_allowed(refused) from None
