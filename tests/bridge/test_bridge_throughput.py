"""What decoding costs, and that the codecs say what a plain decoder says; with the benchmark's own code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KINDS = ("framed", "cyton", "bitalino", "openview", "text", "polar-h10", "movesense", "ganglion", "shimmer3r")


@pytest.fixture(scope="module")
def throughput() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield import_module("decode_throughput")
    finally:
        sys.path.remove(str(BENCHMARKS))


def test_a_shimmer_at_512_hz_needs_less_than_half_a_percent_of_a_core(throughput: ModuleType) -> None:
    """In pieces as a session reads them; processor time, so that other programs do not count."""
    found = throughput.row("shimmer3", 10.0, 3)
    assert found["fs_hz"] == 512.0
    assert found["core_percent"] < 0.5
    assert found["block_per_s"] > found["live_per_s"] > found["plain_per_s"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_codec_says_what_a_plain_decoder_says(throughput: ModuleType, kind: str) -> None:
    assert throughput.row(kind, 6.0, 1)["core_percent"] < 5.0
