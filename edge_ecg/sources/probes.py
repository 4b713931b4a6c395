"""How each kind of device is recognised: one row a kind, of what to ask when, and of what then to look for.

The order of the questions is such that one board's question does no harm to another:

1. Nobody is asked for 0.3 s: what streams by itself is known by its bytes.
2. A Shimmer comes first. Its questions are a space and a question mark to a Cyton, and set only the battery
   lamp's threshold of a BITalino; while a Cyton's letters and a BITalino's 07 would change a Shimmer's
   settings or start it.
3. A BITalino comes before a Cyton, whose letters would start its simulation.
4. A dock comes last: bytes inside its question would start a BITalino.

Whoever has answered is asked nothing else. Every recogniser wants some 40 bits or more that noise would have
to hit at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from edge_ecg_bridge import framed
from edge_ecg_bridge.shimmer3 import commands, dock
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.text import LineSplitter, parse_line

from . import stream_patterns

Recogniser = Callable[[bytes], bool]

_ENOUGH_LINES = 5
# Two answers (ACK, 25, hardware; perhaps a CRC) at the end of what was heard, with no more than a status
# message or two around them: who was told to stop says nothing else.
_SHIMMER_ANSWERS = re.compile(rb"\xff\x25[\x03\x0a].{0,16}\xff\x25[\x03\x0a].{0,16}\Z", re.DOTALL)
_CYTON_ANSWER = re.compile(rb"OpenBCI V3[^$]{0,500}\$\$\$|v\d\.\d{1,2}\.\d{1,2}\$\$\$")
_CYTON_ALONE = re.compile(rb"Failure: Communications timeout")
_BITALINO_ANSWER = re.compile(rb"BITalino_v\d{1,2}\.\d")


@dataclass(frozen=True, slots=True)
class Ask:
    """What to send, how long after the port was opened."""

    at_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Probe:
    """How one kind is recognised.

    Attributes
    ----------
    kind:
        As in :mod:`edge_ecg.sources.kinds`.
    streams:
        Recognises it by what it sends unasked, in the latest bytes (at most 4096).
    answers:
        Recognises it by what it has sent since it was first asked.
    asks:
        The questions, the first after which an answer may come last; those before only prepare.
    prepare:
        What is sent before the questions; no answer to it counts.
    problem:
        What to say of a thing that is recognised and streams no ECG; None for a device.

    """

    kind: str
    streams: Recogniser | None = None
    answers: Recogniser | None = None
    prepare: tuple[Ask, ...] = ()
    asks: tuple[Ask, ...] = ()
    problem: Callable[[bytes], BridgeError] | None = None


def _text_lines(recent: bytes) -> bool:
    lines = LineSplitter().feed(recent)[-2 * _ENOUGH_LINES :]
    return sum(parse_line(line) is not None for line in lines) >= _ENOUGH_LINES


def _answered_twice(heard: bytes) -> bool:
    """Two answers to two questions: three bytes alone come by chance too often."""
    return _SHIMMER_ANSWERS.search(heard[-64:]) is not None


def _dock_problem(heard: bytes) -> BridgeError:
    return dock.problem(dock.find_version(heard) or "")


def _no_board(heard: bytes) -> BridgeError:
    return BridgeError(
        "The OpenBCI dongle is there, but no board answers it over the radio.",
        why="It said that the board did not poll it in time.",
        remedy="Switch the board to PC (not BLE), give it fresh batteries, put the dongle on GPIO 6.",
    )


PROBES: tuple[Probe, ...] = (
    Probe(
        "shimmer3",
        answers=_answered_twice,
        prepare=(Ask(0.3, commands.stop_streaming()),),
        asks=tuple(Ask(at_s, commands.get_hardware()) for at_s in (0.5, 0.7, 0.9)),
    ),
    Probe(
        "bitalino",
        streams=stream_patterns.is_bitalino,
        answers=lambda heard: _BITALINO_ANSWER.search(heard) is not None,
        prepare=(Ask(1.05, b"\x00"),),
        asks=(Ask(1.15, b"\x07"), Ask(1.35, b"\x07")),
    ),
    Probe(
        "cyton",
        streams=stream_patterns.is_cyton,
        answers=lambda heard: _CYTON_ANSWER.search(heard) is not None,
        asks=(Ask(1.55, b"V"), Ask(1.75, b"v")),
    ),
    Probe(
        "cyton",
        answers=lambda heard: _CYTON_ALONE.search(heard) is not None,
        asks=(Ask(1.55, b""),),
        problem=_no_board,
    ),
    Probe("framed", streams=framed.recognise, asks=(Ask(2.0, framed.ASK_INFO), Ask(2.15, framed.ASK_INFO))),
    Probe("openview", streams=stream_patterns.is_openview),
    Probe("text", streams=_text_lines),
    Probe(
        "dock",
        answers=lambda heard: dock.find_version(heard) is not None,
        asks=(Ask(2.2, dock.GET_VERSION), Ask(2.5, dock.GET_VERSION)),
        problem=_dock_problem,
    ),
)
