"""Interleaving, percentiles and budgets, by a clock that a test holds in its hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ecg.bench.latency import LEAST_ROUNDS, Latency, interleaved


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class FakeEncoder:
    """Takes so many seconds of a clock, the n-th window n times as long."""

    name, version, backend, embedding = "fake", "fake 1", "none", 4

    def __init__(self, clock: Clock, cost_s: float, log: list[float]) -> None:
        self.clock, self.cost_s, self.log = clock, cost_s, log

    def embed(self, windows: object) -> np.ndarray:
        assert np.shape(windows) == (1, 2560)
        self.log.append(self.cost_s)
        self.clock.now_s += self.cost_s
        return np.zeros((1, 4), np.float32)


WINDOWS = np.zeros((3, 2560), np.float32)


def test_engines_take_turns_and_the_warm_up_is_not_counted() -> None:
    clock, log = Clock(), []
    encoders = {"a": FakeEncoder(clock, 0.001, log), "b": FakeEncoder(clock, 0.004, log)}
    rounds = []
    found = interleaved(
        encoders, WINDOWS, rounds=5, warm_up=2, clock=clock, after_round=lambda: rounds.append(len(log))
    )
    assert log == [0.001, 0.004] * 7
    assert rounds == [2, 4, 6, 8, 10, 12, 14]
    assert found["a"].windows == found["b"].windows == 5
    assert found["a"].samples_ms == pytest.approx([1.0] * 5)
    assert found["b"].p99_ms == pytest.approx(4.0)


def test_a_slow_machine_stops_when_its_time_is_over_but_not_before_it_has_something() -> None:
    clock = Clock()
    slow = {"a": FakeEncoder(clock, 0.5, [])}
    assert interleaved(slow, WINDOWS, rounds=1000, warm_up=4, budget_s=60, clock=clock)["a"].windows == 116
    clock.now_s = 0.0
    least = interleaved(slow, WINDOWS, rounds=1000, warm_up=4, budget_s=1, clock=clock)["a"]
    assert least.windows == LEAST_ROUNDS


def test_percentiles() -> None:
    values = list(np.random.default_rng(0).permutation(np.arange(1.0, 1002.0)))
    found = Latency.of(values)
    assert (found.p50_ms, found.p90_ms, found.p95_ms, found.p99_ms) == (501.0, 901.0, 951.0, 991.0)
    assert (found.max_ms, found.windows) == (1001.0, 1001)
    assert found.samples_ms == tuple(values)
    with pytest.raises(ValueError, match="nothing was timed"):
        Latency.of([])
