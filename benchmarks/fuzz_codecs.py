"""Random and mutated bytes into every codec: only documented errors, bounded memory, honest numbers.

    python benchmarks/fuzz_codecs.py [--inputs 1000000] [--only NAME] [--seed 0] [--atheris SECONDS]

An input is a row of pieces: a byte of length, a byte that says how much time passes before, and the bytes
that the device says then. Inputs are mutated from what virtual devices say, and kept for further mutation
when they reach a line of a codec that no input reached before (sys.monitoring on Python 3.12 and later, else
sys.settrace on a part of the inputs). With ``--atheris`` each codec is fuzzed by Atheris (libFuzzer on
instrumented bytecode; pip install atheris) for so many seconds instead. A new codec joins by its line in
``TARGETS``.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from edge_ecg_bridge.bitalino import BitalinoSession
from edge_ecg_bridge.cyton import CytonSession
from edge_ecg_bridge.emulators import (
    BitalinoEmulator,
    CytonEmulator,
    Emulator,
    FramedEmulator,
    GanglionEmulator,
    OpenViewEmulator,
    Shimmer3Emulator,
    TextEmulator,
    tunnelled_movesense,
    tunnelled_polar,
)
from edge_ecg_bridge.framed import FramedSession
from edge_ecg_bridge.ganglion import GanglionSession
from edge_ecg_bridge.gatt_tunnel import TunnelSession
from edge_ecg_bridge.movesense import MovesenseSession
from edge_ecg_bridge.openview import OpenViewSession
from edge_ecg_bridge.polar import PolarSession
from edge_ecg_bridge.shimmer3 import Settings, ShimmerSession
from edge_ecg_bridge.shimmer3.replies import ReplyReader
from edge_ecg_bridge.stream import BridgeError, Ready, Samples, Session
from edge_ecg_bridge.synthetic import SyntheticEcg
from edge_ecg_bridge.text import TextSession, TextSettings

_PACKAGE = "edge_ecg_bridge"
_MAX_INPUT = 500
_STEPS_S = (0.001, 0.02, 0.3, 1.0)
_MAX_HELD_BYTES = 64 * 1024
_TRACED_EVERY = 25
_WEIGHED_EVERY = 16  # weighing all that a session holds costs as much as its work
_ECG = SyntheticEcg(seed=1)


@dataclass(frozen=True)
class Target:
    """A codec: makes a session that is fed the input, inputs to begin with, and whether it is under way."""

    make: Callable[[], Session]
    corpus: Callable[[], list[bytes]]
    feed: Callable[[Any, bytes], None] | None = None
    started: bool = False


def said(make: Callable[[], Session], device: Emulator, until_s: float = 2.0) -> list[bytes]:
    """Return what a device says to its session, as inputs: its beginning, and its end."""
    session, now_s, quiet_s = make(), 0.0, 0.0
    pieces: list[bytes] = []
    session.start(0.0)
    while now_s < until_s:
        session.on_time(now_s)
        device.receive(session.bytes_to_send(), now_s)
        data = device.bytes_to_send(now_s)
        session.receive(data, now_s)
        if data:
            step = sum(quiet_s > limit for limit in (0.01, 0.1, 0.5))
            pieces += [
                bytes((min(len(data) - at, 255), step)) + data[at : at + 255]
                for at in range(0, len(data), 255)
            ]
            quiet_s = 0.0
        now_s += 0.02
        quiet_s += 0.02
    return [b"".join(pieces)[:_MAX_INPUT], b"".join(pieces[-6:]), b"".join(pieces[-2:])]


def pieces_of(data: bytes) -> Iterator[tuple[float, bytes]]:
    """Read an input: seconds that pass, and what comes then."""
    at = 0
    while at + 2 <= len(data):
        size, step = data[at], data[at + 1]
        yield _STEPS_S[step % len(_STEPS_S)], data[at + 2 : at + 2 + size]
        at += 2 + size


def streaming(crc_bytes: int, hardware: int = 3) -> Callable[[], Session]:
    """Return what makes a Shimmer's session that is already in its stream: random bytes never get there."""
    from edge_ecg_bridge.shimmer3.exg import ExgRegisters, ecg_registers
    from edge_ecg_bridge.shimmer3.packets import PacketLayout
    from edge_ecg_bridge.shimmer3.setup import Stream

    layout = PacketLayout.of((0x1D, 0x1E, 0x1F, 0x20, 0x21, 0x22), hardware)
    stream = Stream(layout, 128, ExgRegisters(ecg_registers(256.0)[0]), {})

    def make() -> Session:
        session = ShimmerSession(Settings(crc_bytes=crc_bytes))
        session._reader.crc_bytes = crc_bytes
        session._reader.hardware = hardware
        session._begin_stream(stream, 0.0)
        return session

    return make


def settled(time_column: str) -> Callable[[], Session]:
    """Return what makes a text board's session that has its rate already."""
    lines = [f"{4000 * i},{500 + i}" if time_column == "us" else str(500 + i) for i in range(4)]

    def make() -> Session:
        session = TextSession(TextSettings(fs_hz=250.0, time=time_column))
        session.start(-2.0)
        session.receive(f"\n{lines[0]}\n".encode(), -2.0)
        session.receive("".join(f"{line}\n" for line in lines[1:]).encode(), -0.9)
        return session

    return make


def printed(line: str) -> list[bytes]:
    """Return what a board prints, as inputs that follow on what ``settled`` has heard."""
    lines = [f"{4000 * i},{500 + i}" if line == "us" else str(500 + i) for i in range(4, 70)]
    data = "".join(f"{each}\r\n" for each in lines).encode()
    return [
        b"".join(bytes((len(data[at : at + 60]), 1)) + data[at : at + 60] for at in range(0, len(data), 60))
    ]


def feed_reader(reader: ReplyReader, data: bytes) -> None:
    """Ask a reply reader for everything that it can read."""
    reader.hardware = (3, 10)[data[:1] > b"\x7f"]
    reader.crc_bytes = data[0] % 3 if data else 0
    responses = (None, 0x02, 0x25, 0x2D, 0x2F, 0x62, 0x65, 0x7A, 0x90, 0x94, 0xA2)
    for number, (_, piece) in enumerate(pieces_of(data[1:])):
        reader.feed(piece)
        for more in (0, 5):
            reader.next(responses[(number + more) % len(responses)], sure=bool(more))
        if len(reader._buffer) > _MAX_HELD_BYTES:
            raise AssertionError("the reader holds too much")


def shimmer(**options: Any) -> Emulator:
    return Shimmer3Emulator(_ECG, **options)


def polar() -> Session:
    return TunnelSession(PolarSession())


def movesense() -> Session:
    return TunnelSession(MovesenseSession())


TARGETS: dict[str, Target] = {
    "shimmer3": Target(ShimmerSession, lambda: said(ShimmerSession, shimmer())),
    "shimmer3 stream, CRC": Target(streaming(2), lambda: said(ShimmerSession, shimmer()), started=True),
    "shimmer3 stream, no CRC": Target(
        streaming(0), lambda: said(ShimmerSession, shimmer(firmware=(0, 11, 0))), started=True
    ),
    "shimmer3r stream, CRC": Target(
        streaming(2, 10), lambda: said(ShimmerSession, shimmer(hardware=10)), started=True
    ),
    "shimmer3 replies": Target(ReplyReader, lambda: said(ShimmerSession, shimmer()), feed_reader),  # type: ignore[arg-type]
    "text": Target(TextSession, lambda: said(TextSession, TextEmulator(_ECG, fs_hz=125.0), 3.0)),
    "text stream, time": Target(settled("us"), lambda: printed("us"), started=True),
    "text stream, no time": Target(settled("none"), lambda: printed("none"), started=True),
    "framed": Target(FramedSession, lambda: said(FramedSession, FramedEmulator(_ECG))),
    "cyton": Target(CytonSession, lambda: said(CytonSession, CytonEmulator(_ECG))),
    "ganglion": Target(GanglionSession, lambda: said(GanglionSession, GanglionEmulator(_ECG))),
    "bitalino": Target(BitalinoSession, lambda: said(BitalinoSession, BitalinoEmulator(_ECG))),
    "openview": Target(OpenViewSession, lambda: said(OpenViewSession, OpenViewEmulator(_ECG), 8.0)),
    "polar": Target(polar, lambda: said(polar, tunnelled_polar(_ECG))),
    "movesense": Target(movesense, lambda: said(movesense, tunnelled_movesense(_ECG))),
}


def try_input(target: Target, data: bytes, *, weigh: bool = True) -> None:
    """Feed one input; AssertionError when the codec breaks its word, any other error when it breaks."""
    session = target.make()
    if target.feed is not None:
        target.feed(session, data)
        return
    now_s, expected = 0.0, 0
    try:
        if not target.started:
            session.start(now_s)
        for wait_s, piece in pieces_of(data):
            now_s += wait_s
            session.on_time(now_s)
            session.receive(piece, now_s)
            session.bytes_to_send()
            for event in session.events():
                expected = check(event, expected)
    except BridgeError as error:
        if not error.what or not error.remedy:
            raise AssertionError(f"an error without remedy: {error}") from error
    if any(value < 0 for value in session.counters.values()):
        raise AssertionError(f"impossible counters: {dict(session.counters)}")
    held = held_bytes(session) if weigh else 0
    if held > _MAX_HELD_BYTES:
        raise AssertionError(f"the session holds {held} bytes")


def check(event: Ready | Samples, expected: int) -> int:
    """Check an event's word for itself; return the number that the next sample should have."""
    if isinstance(event, Ready):
        if not 1.0 <= event.fs_hz <= 1e5:
            raise AssertionError(f"an impossible rate: {event.fs_hz}")
        return expected
    if not len(event.ecg_mv) or not np.isfinite(event.ecg_mv).all():
        raise AssertionError("samples that are none")
    if event.gap_before < 0 or event.first_sample != expected + event.gap_before:
        raise AssertionError(f"sample {event.first_sample} after {expected} and a gap of {event.gap_before}")
    return event.first_sample + len(event.ecg_mv)


def held_bytes(thing: object, depth: int = 4) -> int:
    """Return roughly how many bytes an object's buffers hold."""
    if isinstance(thing, (bytes, bytearray, str)):
        return len(thing)
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, (list, tuple, set, dict)):
        return 32 * len(thing)
    if depth == 0 or not hasattr(thing, "__dict__"):
        return 0
    return sum(held_bytes(value, depth - 1) for value in vars(thing).values())


def mutate(rng: random.Random, corpus: list[bytes]) -> bytes:
    """Return an input made from others: bits, bytes, pieces taken out, doubled, moved, or foreign."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 2, 5, 18, 20, 60)))
        match rng.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1 if data:
                data[at % len(data)] = rng.choice(
                    (0, 0xFF, 0x8A, 0x71, 0x0A, 0x2C, 0x2D, 0x39, rng.randrange(256))
                )
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end]
            case 4:
                data[at:at] = rng.randbytes(rng.choice((1, 3, 20)))
            case 5:
                other = rng.choice(corpus)
                begin = rng.randrange(len(other) + 1)
                data[at:end] = other[begin : begin + end - at]
            case 6:
                data = data[:at] if rng.random() < 0.3 else data
            case _:
                data = bytearray(rng.randbytes(rng.randrange(200))) if rng.random() < 0.05 else data
    return bytes(data[:_MAX_INPUT])


# -- coverage --------------------------------------------------------------------------------------------


class Coverage:
    """Which lines of the codecs were run: the first run of each is noted, at almost no cost after it."""

    def __init__(self) -> None:
        self.lines: set[tuple[str, int]] = set()

    def __enter__(self) -> Coverage:
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            monitoring.use_tool_id(monitoring.COVERAGE_ID, "fuzz")
            monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, self._monitored)
            monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)
            monitoring.restart_events()  # lines that an earlier codec ran count again for this one
        return self

    def __exit__(self, *_: object) -> None:
        if sys.version_info >= (3, 12):
            sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, 0)
            sys.monitoring.free_tool_id(sys.monitoring.COVERAGE_ID)

    def of(self, call: Callable[[], None], *, trace: bool) -> bool:
        """Call; return whether that reached a line that none reached before (by Python 3.11 if traced)."""
        before = len(self.lines)
        if sys.version_info >= (3, 12) or not trace:
            call()
        else:
            sys.settrace(self._traced)
            try:
                call()
            finally:
                sys.settrace(None)
        return len(self.lines) > before

    def _monitored(self, code: Any, number: int) -> Any:
        if _PACKAGE in code.co_filename:
            self.lines.add((code.co_filename, number))
        return sys.monitoring.DISABLE  # type: ignore[attr-defined,unused-ignore]

    def _traced(self, frame: Any, event: str, _: Any) -> Any:
        if _PACKAGE not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._traced


def fuzz(name: str, target: Target, inputs: int, seed: int) -> bool:
    """Fuzz one codec and print what came of it; return whether it kept its word."""
    rng = random.Random(seed)
    corpus = target.corpus()
    begin = time.perf_counter()
    with Coverage() as coverage:
        for number in range(inputs):
            given = number < len(corpus)
            data = corpus[number] if given else mutate(rng, corpus)
            try:
                trace = given or number % _TRACED_EVERY == 0
                call = partial(try_input, target, data, weigh=number % _WEIGHED_EVERY == 0)
                new = coverage.of(call, trace=trace)
            except Exception as error:
                print(f"{name}: input {number} ({data.hex()}): {type(error).__name__}: {error}", flush=True)
                return False
            if new and not given:
                corpus.append(data)
    took = time.perf_counter() - begin
    print(
        f"{name}: {inputs} inputs, {inputs / took:.0f}/s, {len(coverage.lines)} lines reached, "
        f"{len(corpus)} inputs kept, no undocumented error",
        flush=True,
    )
    return True


def with_atheris(name: str, seconds: int) -> bool:
    """Fuzz one codec with Atheris in a process of its own."""
    command = [sys.executable, __file__, "--inside-atheris", name, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    report = [line for line in done.stderr.splitlines() if line.startswith(("Done", "stat::", "==", "#"))]
    print(f"{name}: {report[-1] if report else done.stderr[-400:]}", flush=True)
    if done.returncode:
        print(done.stderr[-2000:], flush=True)
    return done.returncode == 0


def inside_atheris(name: str, seconds: str) -> None:
    import tempfile
    from pathlib import Path

    import atheris

    target = TARGETS[name]
    folder = Path(tempfile.mkdtemp())
    for index, data in enumerate(target.corpus()):
        (folder / str(index)).write_bytes(data)
    atheris.instrument_all()
    limits = [f"-max_total_time={seconds}", f"-max_len={_MAX_INPUT}", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *limits, str(folder)], lambda data: try_input(target, data))
    atheris.Fuzz()


def main() -> int:
    if sys.argv[1:2] == ["--inside-atheris"]:
        inside_atheris(*sys.argv[2:4])
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="over all codecs together")
    parser.add_argument("--only", choices=TARGETS, help="one codec")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", type=int, metavar="SECONDS", help="for each codec, with Atheris instead")
    args = parser.parse_args()
    names = [args.only] if args.only else list(TARGETS)
    if args.atheris:
        return int(sum(not with_atheris(name, args.atheris) for name in names) > 0)
    each = -(-args.inputs // len(names))
    return int(sum(not fuzz(name, TARGETS[name], each, args.seed) for name in names) > 0)


if __name__ == "__main__":
    sys.exit(main())
