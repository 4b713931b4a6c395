"""Shards read as one store, batches that lie near each other on the disk, and reading ahead."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg_train.sampling import Shuffle, batch_rows
from edge_ecg_train.sharded import ReadAhead, ShardedWindows


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    picks=st.lists(st.integers(0, 10**6), max_size=30),
)
def test_shards_read_as_their_concatenation(sizes, picks):
    parts = [np.random.default_rng(size).random((size, 3), dtype=np.float32) for size in sizes]
    joined, sharded = np.concatenate(parts), ShardedWindows(parts)
    rows = np.array([pick % len(joined) for pick in picks], dtype=np.int64)
    assert sharded.shape == joined.shape
    assert len(sharded) == len(joined)
    assert np.array_equal(sharded[rows], joined[rows])
    assert np.array_equal(sharded[1:], joined[1:])


@given(n=st.integers(1, 300), block=st.integers(1, 40), buffer=st.integers(1, 5), seed=st.integers(0, 9))
def test_every_epoch_of_a_block_shuffle_shows_each_window_once(n, block, buffer, seed):
    rows = np.arange(n) + 1000
    shuffle = Shuffle(block, buffer)
    epochs = [np.concatenate([batch_rows(rows, step, 1, seed, shuffle) for step in range(e * n, e * n + n)])
              for e in range(2)]  # fmt: skip
    for epoch in epochs:
        assert sorted(epoch) == rows.tolist()


def test_a_buffer_of_blocks_comes_from_few_places():
    rows = np.arange(64_000)
    first = batch_rows(rows, 0, 64 * 4, 0, Shuffle(block=64, buffer=4))
    assert len(np.unique(first // 64)) == 4
    assert np.any(np.diff(first) < 0)
    scattered = batch_rows(rows, 0, 64 * 4, 0)
    assert len(np.unique(scattered // 64)) > 100


def test_reading_ahead_gives_what_was_asked_for_and_has_the_next_step_ready():
    read, second = [], threading.Event()

    def reader(step: int) -> np.ndarray:
        read.append(step)
        if step == 1:
            second.set()
        return np.full(1, step, np.float32)

    ahead = ReadAhead(reader)
    assert ahead.take(0) == 0
    assert second.wait(10)
    assert ahead.take(1) == 1
    assert ahead.take(7) == 7  # resumed elsewhere
    ahead.close()
    assert read.count(1) == 1
    assert set(read) <= {0, 1, 2, 7, 8}


def test_a_failed_read_is_raised_where_the_windows_are_taken():
    def reader(step: int) -> np.ndarray:
        if step == 1:
            raise OSError("the disk is gone")
        return np.zeros(1, np.float32)

    ahead = ReadAhead(reader)
    ahead.take(0)
    with pytest.raises(OSError, match="the disk is gone"):
        ahead.take(1)
    ahead.close()
