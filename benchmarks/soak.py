"""Two hours of a device with random faults at fifty times their speed: nothing lost without a word.

    python benchmarks/soak.py [--device shimmer3] [--hours 2] [--speed 50|max] [--seed 1] [--json]

A virtual device streams to the very source, thread, queue and session that `edge-ecg run` uses, with the
model that comes along, while faults strike at random periods. Every sample that is delivered is compared with
what the device measured; every one that is missing must be one that a fault took (or that the queue says it
dropped); no decision may rest on a loss or on a fault at the electrodes; memory is read every five minutes of
the device's time. Whatever hangs for a minute ends it with the stacks of all threads. Exit code 1 when a word
was broken.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import gc
import json
import random
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from soak_account import Watched

from edge_ecg.model import load_model
from edge_ecg.records import DecisionRecord
from edge_ecg.samples import SampleBlock
from edge_ecg.session import Session
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.kinds import session_for
from edge_ecg.sources.session_source import SessionSource
from edge_ecg.sources.simulated import VirtualTransport
from edge_ecg.sources.virtual import VIRTUAL_KINDS, VirtualDevice, faults_of
from edge_ecg_bridge.faults import (
    FAULTS,
    FaultyEmulator,
    FaultySignal,
    Layer,
    PlannedFault,
)
from edge_ecg_bridge.synthetic import SyntheticEcg

_MAX_GROWTH_MIB = 4.0  # of the second half's peak above the first one's
_MEMORY_EVERY_S = 300.0
_BRIDGED_S, _RIM_S = 0.04, 1.0
_HANG_S = 60.0
_MAX_CLOCK_ERROR_S = (
    5.0  # a tenth of a second of this machine's time at fifty times the speed; where it keeps up
)
_AWAY = ("unplug", "ble-drop", "stale-bluez")


def random_faults(kind: str, rng: random.Random) -> tuple[PlannedFault, ...]:
    """Plan every fault that can strike again and again, each in a rhythm of its own."""
    planned = []
    for name in faults_of(kind):
        fault = FAULTS[name]
        if fault.layer is Layer.DEVICE or name in ("trickle", "boot-banner"):
            continue
        every_s = rng.uniform(500.0, 900.0) if name in _AWAY else rng.uniform(60.0, 180.0)
        seconds = fault.seconds * rng.uniform(0.5, 1.5)
        planned.append(PlannedFault(fault, rng.uniform(20.0, every_s), every_s, seconds))
    return tuple(planned)


def overlooked(record: DecisionRecord, watched: Watched, planned: tuple[PlannedFault, ...]) -> str:
    """Return the damage in a window that was decided on and does not tell of it; nothing as a rule."""
    if record.decision is None:
        return ""

    def overlap_s(begin_s: float, end_s: float) -> float:
        return min(end_s, record.end_s) - max(begin_s, record.start_s)

    for begin_s, end_s in watched.holes_s:
        told = record.lost_samples and end_s - begin_s <= _BRIDGED_S + 1e-9
        if overlap_s(begin_s, end_s) > 1e-9 and not told:
            return f"hole {begin_s:.3f} to {end_s:.3f} s in {record.start_s:g} to {record.end_s:g} s"
    since_s = watched.signal_zero_s(record.start_s)
    for plan in planned:
        if plan.fault.layer is not Layer.SIGNAL:
            continue
        for start_s in starts(plan, record.end_s - since_s):
            over_s = overlap_s(since_s + start_s, since_s + start_s + plan.seconds)
            if over_s > _RIM_S:
                return f"{over_s:.2f} s of {plan.name} in {record.start_s:g} to {record.end_s:g} s"
    return ""


def starts(plan: PlannedFault, t_s: float) -> list[float]:
    """Return when a fault began last, and the time before."""
    n = plan.strikes(t_s)
    return [plan.at_s + i * plan.every_s for i in range(max(n - 2, 0), n)]


def memory_mib() -> float:
    """Return how much memory this process holds, without what it had for a moment and gave back."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@dataclass
class Result:
    """What came of it."""

    said: dict[str, object]
    broken: list[str]


def soak(kind: str, seconds: float, speed: float, seed: int) -> Result:
    """Let one device stream with faults for so many seconds of its own time."""
    planned = random_faults(kind, random.Random(seed))
    heart = SyntheticEcg(seed=seed)
    emulator = VirtualDevice(kind, heart, seed=seed, faults=planned).build()
    assert isinstance(emulator, FaultyEmulator)
    transport = VirtualTransport(emulator, speed=speed)
    address = parse_address(f"sim:{kind}")
    made = VIRTUAL_KINDS[kind]

    def again(rescan: bool) -> tuple[VirtualTransport, object]:
        return transport.again(), session_for(made.device, address)

    faulthandler.dump_traceback_later(_HANG_S, exit=True)
    began = time.monotonic()
    memory: list[tuple[float, float]] = []
    blindly: list[str] = []
    session_s = session_for(made.device, address)
    source = SessionSource(
        address,
        transport,
        session_s,
        connect=again,  # type: ignore[arg-type]
        speed=speed or 1.0,
        wait=None if speed else transport.let_pass,
    )
    try:
        with source:
            fs_hz = float(getattr(emulator.device, "fs_hz", 0.0) or source.info.fs_hz)
            zero_s = time.monotonic() * speed - transport.now()

            def device_time(block: SampleBlock) -> float:
                return (block.arrived_s or 0.0) * speed - zero_s if speed else transport.now()

            signal = FaultySignal(heart, planned, seed=seed)
            watched = Watched(
                source,
                signal,
                emulator.truth,
                fs_hz,
                made.step_mv,
                device_time,
                seconds,
                runs_on=kind == "framed",
            )
            session = Session(watched, load_model(), duration_s=seconds)
            for record in session:
                if isinstance(record, DecisionRecord):
                    blindly += filter(None, [overlooked(record, watched, planned)])
                if not memory or session.device_s - memory[-1][0] >= _MEMORY_EVERY_S:
                    memory.append((session.device_s, memory_mib()))
                    faulthandler.dump_traceback_later(_HANG_S, exit=True)
            took_s = time.monotonic() - began
            end = session.end()
    finally:
        faulthandler.cancel_dump_traceback_later()
    return judge(kind, emulator, watched, session, end.to_json(), memory, blindly, took_s)


def judge(
    kind: str,
    emulator: FaultyEmulator,
    watched: Watched,
    session: Session,
    end: dict[str, object],
    memory: list[tuple[float, float]],
    blindly: list[str],
    took_s: float,
) -> Result:
    """Hold the account against the truth."""
    truth, totals = emulator.truth, watched.settle()
    half = len(memory) // 2
    peaks = [max(mib for _, mib in part) for part in (memory[: half + 1], memory[half:])]
    growth_mib = peaks[1] - peaks[0]
    said = {
        "device": kind,
        "device_s": round(session.device_s, 1),
        "took_s": round(took_s, 1),
        "faults": dict(truth.strikes),
        "connections": watched.connections,
        "samples": watched.delivered,
        "lost_reported": watched.reported,
        "lost_in_interruptions": watched.interrupted,
        "lost_by_faults": totals.taken,
        "dropped_by_queue": watched.dropped,
        # What the queue dropped may also lie where one connection ends or the next begins.
        "lost_without_a_fault": max(totals.beside - watched.dropped, 0),
        "damaged_but_delivered": totals.unreported,
        "wrong_values": totals.wrong,
        "clock_error_s": round(watched.clock_error_s, 2),
        "decisions": end["decisions"],
        "withheld": end["withheld"],
        "decisions_on_damage": blindly,
        "memory_mib": [round(mib, 1) for _, mib in memory],
        "memory_growth_mib": round(growth_mib, 1),
    }
    never = ("lost_without_a_fault", "damaged_but_delivered", "wrong_values", "decisions_on_damage")
    broken = [name for name in never if said[name]]
    if abs(watched.clock_error_s) > _MAX_CLOCK_ERROR_S and not watched.dropped:
        broken.append("clock_error_s")
    if growth_mib > _MAX_GROWTH_MIB:
        broken.append("memory_growth_mib")
    if watched.reported != watched.interrupted + totals.missing:
        broken.append("lost_reported")
    if end["lost_samples"] != watched.counted:
        broken.append("lost_samples of the end record")
    return Result(said, broken)


def speed_of(text: str) -> float:
    """Read a factor; 0 stands for max, on a time of its own without a thread."""
    return 0.0 if text == "max" else float(text)


def main() -> int:
    # Those that have a check sum and begin their signal anew with each connection.
    able = ("shimmer3", "shimmer3r", "polar-h10", "movesense", "framed")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=able, default="shimmer3")
    parser.add_argument("--hours", type=float, default=2.0, help="of the device's time")
    parser.add_argument("--speed", type=speed_of, default=50.0, help="a factor, or max: nothing waits")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = soak(args.device, 3600.0 * args.hours, args.speed, args.seed)
    if args.json:
        print(json.dumps({**result.said, "broken": result.broken}))
    else:
        for name, value in result.said.items():
            print(f"{name.replace('_', ' '):>24}  {value}")
    for name in result.broken:
        print(f"BROKEN: {name}", file=sys.stderr)
    return int(bool(result.broken))


if __name__ == "__main__":
    sys.exit(main())
