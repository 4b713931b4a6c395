"""The radio's event loop beside everything that is none."""

from __future__ import annotations

import asyncio
import threading

import pytest

from edge_ecg.sources.radio_loop import RadioLoop, radio_loop


async def answer() -> tuple[int, str]:
    return 42, threading.current_thread().name


async def fail() -> None:
    raise LookupError("no")


def test_work_is_done_in_its_thread() -> None:
    radio = RadioLoop()
    assert radio.run(answer()) == (42, "edge-ecg radio")
    with pytest.raises(LookupError):
        radio.run(fail())
    radio.end()
    radio.end()
    assert radio.loop.is_closed()


def test_work_that_takes_too_long_is_cancelled() -> None:
    radio = RadioLoop()
    cancelled = threading.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        radio.run(wait(), 0.01)
    assert cancelled.wait(5.0)
    radio.end()


def test_the_end_cancels_what_still_runs() -> None:
    radio = RadioLoop()
    ended = threading.Event()

    async def begin() -> asyncio.Task[None]:
        async def last() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        task = asyncio.create_task(last())
        await asyncio.sleep(0)
        return task

    kept = radio.run(begin())
    radio.end()
    assert ended.is_set()
    assert kept.cancelled()


def test_there_is_one_for_the_process() -> None:
    assert radio_loop() is radio_loop()
