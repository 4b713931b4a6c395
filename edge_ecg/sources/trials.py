"""Every virtual device with every fault that it can have: what was lost, and what was said of it.

The table of docs/devices.md and its test are made from this; both walk :data:`VIRTUAL_KINDS`, so that a new
kind joins by its line there. Nothing waits: each trial has a clock of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_ecg_bridge.faults import FaultyEmulator, FaultySignal, Harm, Layer, PlannedFault
from edge_ecg_bridge.faults.device import RATE_ERROR
from edge_ecg_bridge.faults.trial import Account, Part, account, hold_trial
from edge_ecg_bridge.synthetic import SyntheticEcg

from ..samples import SampleBlock
from .address import Address, parse_address
from .kinds import session_for
from .virtual import VIRTUAL_KINDS, VirtualDevice, VirtualKind, faults_of, parse_faults

# Each fault has struck once or twice by then, and a link that came back has been up for long.
TRIAL_S = 50.0
_SEED = 5


@dataclass(frozen=True, slots=True)
class Variant:
    """A virtual device in one of its ways of being.

    Attributes
    ----------
    kind:
        A name in :data:`VIRTUAL_KINDS`.
    note:
        What is different about it; empty for the usual one.
    options:
        Of :class:`VirtualDevice`.
    proof:
        As in :class:`VirtualKind`; empty for the kind's own.

    """

    kind: str
    note: str = ""
    options: dict[str, str] = field(default_factory=dict)
    proof: str = ""

    @property
    def name(self) -> str:
        """The kind and what is different."""
        return f"{self.kind}, {self.note}" if self.note else self.kind

    @property
    def trusted(self) -> str:
        """What tells a whole packet from a damaged one."""
        return self.proof or VIRTUAL_KINDS[self.kind].proof


_OTHERS = (
    Variant("shimmer3", "old firmware without CRC", {"firmware": "0.11.0"}, "time"),
    Variant("text", "without time column", {"line": "adc"}, "nothing"),
)


def variants() -> list[Variant]:
    """Return all kinds, and some of them in other ways of being."""
    usual = [Variant(name) for name in VIRTUAL_KINDS]
    return [each for one in usual for each in (one, *(other for other in _OTHERS if other.kind == one.kind))]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one device with one fault.

    Attributes
    ----------
    parts:
        One for each session: the first, and one after each lost link.
    accounts:
        One for each part.
    strikes:
        How often the fault struck.

    """

    variant: Variant
    faults: tuple[PlannedFault, ...]
    parts: list[Part]
    accounts: list[Account]
    strikes: int

    def damaged_s(self, part: int = 0) -> list[tuple[float, float]]:
        """Return begin and end of all that was damaged, in the session's time, in order.

        A bit that was inverted where nothing can tell is not among them.
        """
        said, kept = self.parts[part], self.accounts[part]
        assert said.ready is not None
        fs_hz = said.ready.fs_hz
        sure = self.variant.trusted in ("checksum", "weak checksum")
        spans = [
            (damage.first, damage.first + damage.samples)
            for damage in said.damages
            if damage.harm is Harm.LOST or (sure and damage.harm is Harm.ALTERED)
        ]
        begin, end = kept.offset / fs_hz, (kept.offset + int(said.numbers[-1])) / fs_hz
        found = [((first - kept.offset) / fs_hz, (after - kept.offset) / fs_hz) for first, after in spans]
        for plan in self.faults:
            if plan.fault.layer is Layer.SIGNAL:
                starts = [plan.at_s + i * plan.every_s if i else plan.at_s for i in range(plan.strikes(end))]
                found += [(start - begin, start + plan.seconds - begin) for start in starts]
        return sorted(found)

    def blocks(self, part: int = 0) -> Iterator[SampleBlock]:
        """Yield the samples of a session as a source would."""
        said = self.parts[part]
        assert said.ready is not None
        for event in said.samples:
            yield SampleBlock(
                event.ecg_mv,
                said.ready.fs_hz,
                event.first_sample,
                event.gap_before,
                event.lead_off,
                event.saturated,
                event.time_s,
                event.acceleration_g,
            )


def pairs() -> list[tuple[Variant, str]]:
    """Return every variant with the name of every fault that it can have."""
    found = []
    for variant in variants():
        able = faults_of(variant.kind)
        if variant.trusted == "nothing" and "time-wrap" in able:
            able.remove("time-wrap")
        found += [(variant, fault) for fault in able]
    return found


def hold(variant: Variant, faults: str, *, until_s: float = TRIAL_S) -> Trial:
    """Let a device with faults (``NAME@SECONDS:DURATION``, parted by commas) talk to its session."""
    kind: VirtualKind = VIRTUAL_KINDS[variant.kind]
    planned = parse_faults(faults)
    heart = SyntheticEcg(seed=_SEED)
    device = VirtualDevice(variant.kind, heart, seed=_SEED, faults=planned, **variant.options)  # type: ignore[arg-type]
    emulator = device.build()
    if not isinstance(emulator, FaultyEmulator):
        emulator = FaultyEmulator(emulator, ())
    address: Address = parse_address(f"sim:{variant.kind}")
    parts = hold_trial(lambda: session_for(kind.device, address), emulator, until_s=until_s)
    signal = FaultySignal(heart, planned, seed=_SEED)
    off = any(plan.name == "rate-off" for plan in planned)
    accounts = [
        account(part, signal, _own_rate(part, emulator) * (1.0 + RATE_ERROR * off), kind.step_mv)
        for part in parts
        if part.samples
    ]
    link = emulator.truth.strikes
    strikes = sum(link.get(plan.name, plan.strikes(until_s - 2.0)) for plan in planned)
    return Trial(variant, planned, parts, accounts, strikes)


def _own_rate(part: Part, emulator: FaultyEmulator) -> float:
    """Return the rate that the device takes for its own, where it tells, whatever the session made of it."""
    assert part.ready is not None
    return float(getattr(emulator.device, "fs_hz", 0.0) or part.ready.fs_hz)
