"""A real LSL stream that disappears and comes back: one session, its gap counted."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

pytest.importorskip("edge_ecg.sources.reconnect")

from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.sources import open_source

try:
    import pylsl
except (ImportError, RuntimeError):
    pytest.skip("pylsl or liblsl is not installed", allow_module_level=True)


class Comes:
    """A stream of one name that can go and come again."""

    def __init__(self) -> None:
        self.name = f"Return {os.getpid()}"
        self.outlet: object = None

    def come(self) -> None:
        info = pylsl.StreamInfo(self.name, "ECG", 1, 250.0, "float32", self.name)
        channel = info.desc().append_child("channels").append_child("channel")
        channel.append_child_value("unit", "microvolts")
        self.outlet = pylsl.StreamOutlet(info)

    def send(self, first: int, end: int, since_s: float) -> None:
        """Stamped as if sample ``n`` had been taken at ``since_s + n / 250``."""
        rows = np.arange(first, end, dtype=np.float32)[:, np.newaxis]
        self.outlet.push_chunk(rows.tolist(), since_s + (end - 1) / 250.0)


def test_a_stream_that_goes_and_comes_back() -> None:
    stream = Comes()
    stream.come()
    read = threading.Event()
    second = []

    def work() -> None:
        assert stream.outlet.wait_for_consumers(20.0)
        since_s = pylsl.local_clock() - 4.0  # they end now
        stream.send(0, 1000, since_s)
        assert read.wait(20.0)
        stream.outlet = None
        stream.come()
        # Its first samples, too, are taken after it went.
        threading.Event().wait(max(since_s + 7.0 - pylsl.local_clock(), 0.0))
        assert stream.outlet.wait_for_consumers(20.0)
        second.append(round((pylsl.local_clock() - since_s) * 250.0) - 600)
        stream.send(second[0], second[0] + 600, since_s)

    thread = threading.Thread(target=work)
    thread.start()
    events: list[str] = []
    values: list[np.ndarray] = []
    numbers: list[np.ndarray] = []
    with open_source(f"lsl:{stream.name}") as source:
        for item in source:
            if isinstance(item, SourceEvent):
                events.append(item.event)
                continue
            assert isinstance(item, SampleBlock)
            values.append(item.ecg_mv * 1e3)
            numbers.append(item.first_sample + np.arange(len(item)))
            if values[-1][-1] >= 990.0:
                read.set()
            if second and values[-1][-1] >= second[0] + 590:
                break
    thread.join(20.0)
    got, place = np.rint(np.concatenate(values)), np.concatenate(numbers)
    assert np.count_nonzero(got < 1000) == 1000  # all of its first life
    np.testing.assert_allclose(place, got, atol=1)  # what went by meanwhile is a gap of its true length
    assert [event for event in events if event != "gap"] == ["connected", "lost", "reconnected"]
