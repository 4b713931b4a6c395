"""Reading the form in which PhysioNet passes a data set on: one EDF file or WFDB record a recording.

The files are opened as sources, as ``edge-ecg run --port file:...`` opens them, so there is one reader of
each format.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray, SampleBlock
from edge_ecg.sources.address import Address
from edge_ecg.sources.files import FileSource, open_file

from .base import Recording


def file_recording(
    path: Path,
    channel: str,
    *,
    dataset: str,
    subject: str,
    session: str,
    labels: Mapping[str, int] | None = None,
    usable: bool = True,
) -> Recording:
    """A recording in a file of its own.

    Only the header is read here. A file that cannot be opened gives a recording that says so when it is
    loaded, so that a check can go on to the next one.
    """
    make = partial(
        Recording, dataset=dataset, subject=subject, session=session, labels=labels or {}, usable=usable
    )
    try:
        info = _open(path, channel).info
    except DataError as error:
        return make(lead=channel, fs_hz=1.0, n_samples=0, load=partial(_fail, error))
    samples = round(float(info.details["duration_s"]) * info.fs_hz)
    lead = str(info.details["channel"])
    return make(lead=lead, fs_hz=info.fs_hz, n_samples=samples, load=partial(_load, path, channel, samples))


def _open(path: Path, channel: str) -> FileSource:
    options = {"speed": "max", "channel": channel}
    return open_file(Address("file", str(path), options, f"file:{path}"))


def _load(path: Path, channel: str, samples: int) -> FloatArray:
    """Millivolts of the whole file, NaN where samples were lost."""
    ecg_mv = np.full(samples, np.nan)
    with _open(path, channel) as source:
        for item in source:
            if isinstance(item, SampleBlock):
                ecg_mv[item.first_sample : item.first_sample + len(item)] = item.ecg_mv[
                    : samples - item.first_sample
                ]
    return ecg_mv


def _fail(error: DataError) -> FloatArray:
    raise error
