"""How many samples a second each codec decodes on one core, and what its device's own rate costs.

    python benchmarks/decode_throughput.py [--seconds 60] [--repeats 5] [--json]

Each virtual device streams to its session, and what it sent is fed to new sessions by the clock of that
conversation: in pieces of 50 ms, as `edge-ecg run` reads them, and of one second, where fixed costs do not
count. Processor time is measured, the least of the repeats. Beside it stand a plain decoder that goes byte
by byte (``plain_decoders.py``; its values must be the codec's), and other people's where one is installed,
fed with the same packets and nothing else to do:

    pip install pyshimmer bleakheart polar-python bitstring requests xmltodict
    pip install --no-deps bitalino pyOpenBCI       # bitalino and pyshimmer are GPL: for this comparison only
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plain_decoders as plain
from other_decoders import OTHERS

from edge_ecg.sources.address import parse_address
from edge_ecg.sources.kinds import session_for
from edge_ecg.sources.virtual import VIRTUAL_KINDS, VirtualDevice
from edge_ecg_bridge.framed.info import Info
from edge_ecg_bridge.gatt import Value
from edge_ecg_bridge.gatt_tunnel import TunnelSession
from edge_ecg_bridge.gatt_wire import RecordReader
from edge_ecg_bridge.stream import Ready, Samples
from edge_ecg_bridge.synthetic import SyntheticEcg

STEP_S = 0.05
BLOCK_S = 1.0
# A Shimmer at twice its usual rate; of the radio sensors the ECG alone.
ADDRESSES = {"shimmer3": "rate=512", "shimmer3r": "rate=512", "polar-h10": "acceleration=off"}
ADDRESSES["movesense"] = "acceleration=off"


@dataclass
class Conversation:
    """What a virtual device said: until its session was ready, and from then on, with the times."""

    kind: str
    fs_hz: float = 0.0
    before: list[tuple[float, bytes]] = field(default_factory=list)
    stream: list[tuple[float, bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """What a user would give to ``--port``."""
        options = ADDRESSES.get(self.kind, "")
        return f"sim:{self.kind}{'?' if options else ''}{options}"

    def session(self) -> Any:
        """Return a session that has heard nothing yet."""
        return session_for(VIRTUAL_KINDS[self.kind].device, parse_address(self.address))


def converse(kind: str, seconds: float) -> Conversation:
    """Let a virtual device stream to its session for so many seconds of its own time."""
    said = Conversation(kind)
    session, device = said.session(), VirtualDevice(kind, SyntheticEcg(seed=1)).build()
    now_s, end_s = 0.0, np.inf
    session.start(now_s)
    while now_s < end_s:
        session.on_time(now_s)
        device.receive(session.bytes_to_send(), now_s)
        data = device.bytes_to_send(now_s)
        (said.before if end_s == np.inf else said.stream).append((now_s, data))
        session.receive(data, now_s)
        for event in session.events():
            if isinstance(event, Ready):
                said.fs_hz, end_s = event.fs_hz, now_s + seconds
        now_s += STEP_S
    return said


def regrouped(stream: Sequence[tuple[float, bytes]], step_s: float) -> list[tuple[float, bytes]]:
    """Join pieces to longer ones, each at the time of its last."""
    n = round(step_s / STEP_S)
    groups = [stream[at : at + n] for at in range(0, len(stream), n)]
    return [(group[-1][0], b"".join(data for _, data in group)) for group in groups]


def decode(said: Conversation, step_s: float) -> tuple[float, np.ndarray]:
    """Return processor seconds and all values of one pass through a new session."""
    session = said.session()
    session.start(0.0)
    for now_s, data in said.before:
        session.on_time(now_s)
        session.receive(data, now_s)
        session.bytes_to_send()
        session.events()
    pieces: list[tuple[float, Any]] = list(regrouped(said.stream, step_s))
    receive: Callable[[Any, float], None] = session.receive
    if isinstance(session, TunnelSession):
        # A radio hands over notifications as they are; the records around them are the virtual link's.
        session, reader = session.inner, RecordReader()
        pieces = [(now_s, reader.feed(data)) for now_s, data in pieces]

        def receive(messages: list[Any], now_s: float) -> None:
            for message in messages:
                session.happened(message, now_s)

    send = session.actions if hasattr(session, "actions") else session.bytes_to_send
    values = []
    began = time.process_time()
    for now_s, data in pieces:
        receive(data, now_s)
        session.on_time(now_s)
        send()
        values += [event.ecg_mv for event in session.events() if isinstance(event, Samples)]
    return time.process_time() - began, np.concatenate(values)


def sent(said: Conversation) -> Any:
    """Return what a decoder is given: the stream's bytes, or its notifications."""
    data = b"".join(data for _, data in said.stream)
    if not isinstance(said.session(), TunnelSession):
        return data
    return [message.data for message in RecordReader().feed(data) if isinstance(message, Value)]


def plain_decoder(said: Conversation) -> Callable[[Any], list[float]]:
    names = {"polar-h10": "polar", "shimmer3r": "shimmer3"}
    if said.kind != "framed":
        decoder: Callable[[Any], list[float]] = getattr(plain, names.get(said.kind, said.kind))
        return decoder
    from edge_ecg_bridge.framed import FramedSession

    session = FramedSession()
    session.start(0.0)
    for now_s, data in said.before:
        session.receive(data, now_s)
    info = next(value for value in vars(session).values() if isinstance(value, Info))
    return plain.framed(info)


def timed(call: Callable[[Any], Sequence[float]], data: Any) -> tuple[float, Sequence[float]]:
    began = time.process_time()
    values = call(data)
    return time.process_time() - began, values


def row(kind: str, seconds: float, repeats: int) -> dict[str, Any]:
    """Measure one kind of device."""
    said = converse(kind, seconds)
    live = [decode(said, STEP_S) for _ in range(repeats)]
    block = [decode(said, BLOCK_S) for _ in range(repeats)]
    data, decoder = sent(said), plain_decoder(said)
    plainly = [timed(decoder, data) for _ in range(repeats)]
    values = live[0][1]
    require_same(kind, values, np.array(plainly[0][1]))
    n = len(values)
    found: dict[str, Any] = {
        "kind": kind,
        "fs_hz": said.fs_hz,
        "live_per_s": n / min(taken for taken, _ in live),
        "block_per_s": len(block[0][1]) / min(taken for taken, _ in block),
        "plain_per_s": len(plainly[0][1]) / min(taken for taken, _ in plainly),
        "others": {},
    }
    found["core_percent"] = 100.0 * said.fs_hz / found["live_per_s"]
    for name, other in OTHERS.get(kind, {}).items():
        try:
            taken = [timed(other, data) for _ in range(repeats)]
        except ImportError:
            continue
        found["others"][name] = len(taken[0][1]) / min(seconds for seconds, _ in taken)
    return found


def require_same(kind: str, values: np.ndarray, others: np.ndarray) -> None:
    """Find the codec's values among the plain decoder's: it may begin later and hold the last ones back."""
    n = min(len(values), len(others)) - 300
    for shift in range(-2000, 2000):
        ours, theirs = values[max(-shift, 0) :][:n], others[max(shift, 0) :][:n]
        if len(ours) == len(theirs) and abs(ours[0] - theirs[0]) < 1e-9 and np.allclose(ours, theirs):
            return
    raise AssertionError(f"{kind}: the plain decoder gives other values")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of the device's time")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=VIRTUAL_KINDS, help="one kind")
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    args = parser.parse_args()
    if not args.json:
        print("| " + " | ".join(_HEAD) + " |\n|---|" + "--:|" * (len(_HEAD) - 2) + "---|")
    for kind in [args.only] if args.only else VIRTUAL_KINDS:
        found = row(kind, args.seconds, args.repeats)
        print(json.dumps(found) if args.json else table_row(found), flush=True)


_HEAD = (
    "Codec",
    "rate, Hz",
    "of a core",
    "50 ms pieces",
    "1 s pieces",
    "byte by byte",
    "other people's",
)


def table_row(found: dict[str, Any]) -> str:
    """Return a line of the table: samples a second in thousands."""
    rates = (f"{found[key] / 1e3:.0f} k" for key in ("live_per_s", "block_per_s", "plain_per_s"))
    others = ", ".join(f"{name} {rate / 1e3:.0f} k" for name, rate in found["others"].items()) or "-"
    cells = (f"`{found['kind']}`", f"{found['fs_hz']:g}", f"{found['core_percent']:.3f} %", *rates, others)
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
