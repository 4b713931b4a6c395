"""An LSL outlet: the ECG of a source, for every other program in the network that reads LSL.

Samples are stamped by the device's time, laid on LSL's clock by the blocks that came with the least delay;
arrival times themselves jitter, and stamps made of them would overlap.
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from ..naming import nameless
from ..samples import SampleBlock, SourceInfo
from ..sources.lsl_link import load_pylsl

_WINDOW_S = 60.0
_UNIT = "microvolts"
_UV_PER_MV = 1000.0


class LslOutlet:
    """Offers one source as an LSL stream of type ECG, in microvolts.

    Parameters
    ----------
    info:
        Of the source: its rate is the stream's, its address identifies the stream, so that a reader finds it
        again after a restart.
    name:
        Of the stream.

    Raises
    ------
    DeviceError
        When pylsl or liblsl is missing.

    """

    def __init__(self, info: SourceInfo, name: str = "edge-ecg") -> None:
        self._pylsl = load_pylsl()
        self._fs_hz = info.fs_hz
        # The whole network sees it, and a file may be called after somebody.
        source_id = str(info.details.get("serial") or nameless(info.address))
        described = self._pylsl.StreamInfo(name, "ECG", 1, info.fs_hz, "float32", f"edge-ecg {source_id}")
        channel = described.desc().append_child("channels").append_child("channel")
        for key, value in (("label", "ECG"), ("unit", _UNIT), ("type", "ECG")):
            channel.append_child_value(key, value)
        acquisition = described.desc().append_child("acquisition")
        for key, value in (("model", info.device), *((key, str(v)) for key, v in info.details.items())):
            acquisition.append_child_value(key.replace(" ", "_"), value)
        self._outlet = self._pylsl.StreamOutlet(described)
        # (device time, delay) of blocks; only those that may still become the least of the window.
        self._delays: deque[tuple[float, float]] = deque()
        self._last_stamp_s = -np.inf

    def push(self, block: SampleBlock) -> None:
        """Send one block; a gap before it shows in its stamps."""
        if not len(block):
            return
        times = block.time_s if block.time_s is not None else self._even(block)
        last_s = float(times[-1])
        # LSL's clock and the one of arrivals both run monotonically, at one rate.
        now_s = self._pylsl.local_clock()
        arrived_s = now_s if block.arrived_s is None else now_s - (time.monotonic() - block.arrived_s)
        stamp_s = last_s + self._least_delay(last_s, arrived_s - last_s)
        # Never over what was sent already, also when a quicker block has just moved the line.
        stamp_s = max(stamp_s, self._last_stamp_s + float(times[-1] - times[0]) + 0.5 / self._fs_hz)
        self._last_stamp_s = stamp_s
        samples = (block.ecg_mv * _UV_PER_MV).astype(np.float32)[:, np.newaxis]
        if block.time_s is None:
            self._outlet.push_chunk(samples, stamp_s)
        else:
            self._outlet.push_chunk(samples, (stamp_s + (times - last_s)).tolist())

    def write(self, block: SampleBlock) -> None:
        """Send one block, as a session hands it on."""
        self.push(block)

    def mark(self, at_s: float, text: str) -> None:
        """Marks are events and travel with the records."""

    def close(self) -> None:
        """Withdraw the stream."""
        self._outlet = None

    def _even(self, block: SampleBlock) -> np.ndarray:
        return (block.first_sample + np.arange(len(block))) / block.fs_hz

    def _least_delay(self, device_s: float, delay_s: float) -> float:
        while self._delays and self._delays[-1][1] >= delay_s:
            self._delays.pop()
        self._delays.append((device_s, delay_s))
        while self._delays[0][0] < device_s - _WINDOW_S:
            self._delays.popleft()
        return self._delays[0][1]
