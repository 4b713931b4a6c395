"""The soak of ``benchmarks/soak.py``, shortened: random faults, and nothing lost without a word."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def soaking() -> Iterator[ModuleType]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield import_module("soak")
    finally:
        sys.path.remove(str(BENCHMARKS))


def check(found: dict[str, object], broken: list[str]) -> None:
    assert broken == []
    assert int(found["connections"]) > 1  # type: ignore[call-overload]
    assert int(found["lost_by_faults"]) > 1  # type: ignore[call-overload]
    assert int(found["decisions"]) > 60  # type: ignore[call-overload]
    assert found["dropped_by_queue"] == 0


def test_ten_minutes_on_a_time_of_their_own(soaking: ModuleType) -> None:
    result = soaking.soak("shimmer3", 600.0, 0.0, 3)
    check(result.said, result.broken)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seed"), [("shimmer3r", 4), ("polar-h10", 4), ("movesense", 3)])
def test_half_an_hour_of_others(soaking: ModuleType, kind: str, seed: int) -> None:
    result = soaking.soak(kind, 1800.0, 0.0, seed)
    check(result.said, result.broken)


@pytest.mark.slow
def test_through_the_thread_and_the_queue(soaking: ModuleType) -> None:
    """Live, at ten times the speed; what a busy machine lets the queue drop is accounted for, too."""
    result = soaking.soak("shimmer3", 300.0, 10.0, 5)
    assert set(result.broken) <= {"clock_error_s"}  # how late a busy machine reads is nobody's loss
    assert result.said["connections"] > 1


def test_a_loss_that_is_kept_secret_is_found_out(
    soaking: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account itself must see a session that shifts what comes behind a hole into it."""
    from edge_ecg_bridge.shimmer3 import packets

    honest = packets.PacketRun

    def hiding(rows: object, first: int, gap_before: int) -> object:
        return honest(rows, first - gap_before, 0)  # type: ignore[arg-type]

    monkeypatch.setattr(packets, "PacketRun", hiding)
    monkeypatch.setattr("edge_ecg_bridge.shimmer3.session.PacketRun", honest)
    broken = soaking.soak("shimmer3", 240.0, 0.0, 3).broken
    assert "wrong_values" in broken


def test_a_decision_on_damage_is_found_out(soaking: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account itself must see a session that takes every window for a good one."""
    from edge_ecg import pipeline

    honest = pipeline.assess

    def blind(window: pipeline.Window) -> pipeline.Quality:
        return replace(honest(window), reasons=())

    monkeypatch.setattr(pipeline, "assess", blind)
    assert soaking.soak("shimmer3", 120.0, 0.0, 4).broken == ["decisions_on_damage"]
