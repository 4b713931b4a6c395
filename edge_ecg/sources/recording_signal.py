"""A recording as the signal of a virtual device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import DataError, UsageError
from ..samples import FloatArray, SampleBlock
from ..signal.resample import Resampler
from .address import Address, parse_address
from .registry import open_source


@dataclass(frozen=True, slots=True)
class RecordingSignal:
    """The recording at ``address`` at any rate, from its first sample at every call.

    It is resampled as live samples are, so that decisions differ from those of the file itself by the
    virtual device's quantisation alone. Where the recording has a gap the signal is NaN.
    """

    address: Address

    @classmethod
    def parse(cls, text: str) -> RecordingSignal:
        """Take the address of a recording, ``file:PATH``; UsageError for any other."""
        address = parse_address(text)
        if address.scheme != "file":
            raise UsageError(f"{text} is not a recording.", remedy="Give file:PATH.")
        return cls(replace(address, options={**address.options, "speed": "max"}))

    def check(self) -> float:
        """Open the recording once and return its rate in hertz; raise what is wrong with it."""
        with open_source(self.address) as source:
            return source.info.fs_hz

    def __call__(self, fs_hz: float) -> Iterator[FloatArray]:
        """Yield the recording in millivolts at ``fs_hz``; DataError when it cannot be read."""
        with open_source(self.address) as source:
            resampler: Resampler | None = None
            done = 0
            for item in source:
                if not isinstance(item, SampleBlock):
                    continue
                if resampler is None or item.gap_before:
                    if resampler is not None:
                        rest = resampler.flush()
                        done += len(rest)
                        yield rest
                    missing = max(round(item.first_sample * fs_hz / item.fs_hz) - done, 0)
                    done += missing
                    yield np.full(missing, np.nan)
                    resampler = _resampler(item.fs_hz, fs_hz)
                chunk = resampler.process(item.ecg_mv)
                done += len(chunk)
                yield chunk
            if resampler is not None:
                yield resampler.flush()


def _resampler(fs_in_hz: float, fs_out_hz: float) -> Resampler:
    try:
        return Resampler(fs_in_hz, fs_out_hz)
    except ValueError as error:
        raise DataError(
            f"The recording cannot be played: {error}.", remedy="Use one of 100 to 4000 Hz."
        ) from None
