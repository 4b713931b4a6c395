"""Recordings as sources: ``file:PATH?speed=max&channel=ECG``.

A format is recognised by the first bytes of the file and, where those do not tell, by its name. A reader
gives one ECG channel chunk by chunk (:class:`~edge_ecg.sources.files.recording.Recording`);
:class:`~edge_ecg.sources.files.stream.FileSource` plays it, with the marks that stand beside it
(:mod:`edge_ecg.marks`).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from ...errors import UsageError
from ...marks import read_marks
from ..address import Address
from ..base import Clock
from .formats import find_format, open_recording
from .options import FileOptions
from .recording import Marker
from .stream import FileSource, Sleep

__all__ = ["FileSource", "open_file"]


def open_file(
    address: Address,
    *,
    device: str | None = None,
    clock: Clock = time.monotonic,
    sleep: Sleep | None = None,
) -> FileSource:
    """Open a recording; see docs/files.md for the formats and their options.

    Parameters
    ----------
    address:
        ``file:PATH`` with options. Real time unless ``speed`` says otherwise.
    device:
        None or ``file``: a recording has no device.
    clock, sleep:
        What real time is made of.

    Raises
    ------
    DataError
        When there is no such file, it is damaged, or it holds no ECG; the sentence says what to do.
    UsageError
        When an option makes no sense for the file.

    """
    if device is not None and device.partition(":")[0] != "file":
        raise UsageError(
            f"A recording is not a {device}.", remedy=f"Leave out --device, or give the port of the {device}."
        )
    path = _path(address.target)
    form, path = find_format(path)
    options = FileOptions.from_address(address, kind=form.name, understood=form.options)
    recording = open_recording(form, path, options)
    beside = [Marker(mark.at_s, mark.label) for mark in read_marks(path)]
    return FileSource(recording, path, str(address), options, clock=clock, markers=beside, sleep=sleep)


def _path(target: str) -> Path:
    if not target:
        raise UsageError(
            "The address file: names no file.", remedy="Write file:PATH, for example file:rest.edf"
        )
    # file:///PATH is what desktops paste.
    # Not Path.expanduser: without such a user it raises.
    return Path(os.path.expanduser(target[2:] if target.startswith("///") else target))
