"""Reading recordings that are one file each: EDF, WFDB, CSV and whatever else is opened as a source.

The files are opened as sources, as ``edge-ecg run --port file:...`` opens them, so there is one reader of
each format.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray, SampleBlock
from edge_ecg.sources.address import Address
from edge_ecg.sources.files import FileSource
from edge_ecg.sources.files.formats import find_format, open_recording
from edge_ecg.sources.files.options import FileOptions

from .base import Recording, Span


def file_recording(
    path: Path,
    channel: str,
    *,
    dataset: str,
    subject: str,
    session: str,
    labels: Mapping[str, int] | None = None,
    usable: bool = True,
    spans: Callable[[float], tuple[Span, ...]] | None = None,
) -> Recording:
    """A recording in a file of its own.

    Only the header is read here. A file that cannot be opened gives a recording that says so when it is
    loaded, so that a check can go on to the next one. ``spans`` makes the annotations, given the recording's
    length in seconds.
    """
    make = partial(
        Recording, dataset=dataset, subject=subject, session=session, labels=labels or {}, usable=usable
    )
    options = {"channel": channel}
    try:
        opened = EcgFile.open(path, options)
        samples = opened.length()
    except DataError as error:
        return make(lead=channel, fs_hz=1.0, n_samples=0, load=partial(failing, error))
    return make(
        lead=opened.lead,
        fs_hz=opened.fs_hz,
        n_samples=samples,
        load=partial(load_file, path, options, samples),
        spans=() if spans is None else spans(samples / opened.fs_hz),
    )


@dataclass(frozen=True, slots=True)
class EcgFile:
    """An open file: its rate, the name of its ECG, and its samples by their numbers in the file."""

    source: FileSource
    first_whole_sample: Callable[[], int]

    @classmethod
    def open(cls, path: Path, options: Mapping[str, str]) -> EcgFile:
        """Read the header, with the options of a ``file:`` address (docs/files.md).

        Raises
        ------
        DataError
            When the file is missing or damaged, or holds no ECG.
        UsageError
            When an option does nothing for its format.

        """
        address = Address("file", str(path), {"speed": "max", **options}, f"file:{path}")
        form, path = find_format(path)
        understood = FileOptions.from_address(address, kind=form.name, understood=form.options)
        recording = open_recording(form, path, understood)

        def first_whole_sample() -> int:
            for chunk in recording.chunks(0):
                whole = np.flatnonzero(np.isfinite(chunk.ecg_mv))
                if whole.size:
                    return chunk.first_sample + int(whole[0])
            return 0

        return cls(
            FileSource(recording, path, str(address), understood, clock=time.monotonic), first_whole_sample
        )

    @property
    def fs_hz(self) -> float:
        """Sampling rate."""
        return self.source.info.fs_hz

    @property
    def lead(self) -> str:
        """Name of the ECG's channel."""
        return str(self.source.info.details["channel"])

    def length(self) -> int:
        """Number of samples; a text file, which does not say, is read to its end.

        Raises
        ------
        DataError
            When it is damaged.

        """
        duration_s = self.source.info.details.get("duration_s")
        if duration_s is not None:
            return round(float(duration_s) * self.fs_hz)
        ends = [item.first_sample + len(item) for item in self.source if isinstance(item, SampleBlock)]
        return self.first_whole_sample() + max(ends, default=0)


def load_file(path: Path, options: Mapping[str, str], samples: int) -> FloatArray:
    """Millivolts (samples,) of the whole file, NaN where samples were lost.

    Raises
    ------
    DataError
        When the file is damaged.

    """
    ecg_mv = np.full(samples, np.nan)
    opened = EcgFile.open(path, options)
    # A source counts from the first sample that is there.
    base = opened.first_whole_sample()
    with opened.source as source:
        for item in source:
            if isinstance(item, SampleBlock):
                first = base + item.first_sample
                ecg_mv[first : first + len(item)] = item.ecg_mv[: max(samples - first, 0)]
    return ecg_mv


def failing(error: DataError) -> FloatArray:
    """What loads a recording that could not be opened: raises ``error``."""
    raise error
