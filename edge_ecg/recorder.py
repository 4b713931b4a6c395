"""``--record``: a stream kept as a text file that ``file:`` reads back to the same samples, bit for bit.

Lines beginning with ``#`` say what it is, then comes CSV: the device's sample number (a jump is a gap),
millivolts with all their digits and, where the device has them, its flags, its time and its accelerometer.
The file is a valid recording after every line, so a crash or a device that is pulled out costs at most the
last second; a power cut costs what the system had not yet written (Linux waits for up to half a minute; to
sync each second would wear an SD card).
Marks go to a second file beside it (:mod:`edge_ecg.marks`), which is there only when something was marked.
Both are for their owner alone (mode 0600) from the first byte: an ECG identifies a person.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from .errors import DataError
from .marks import HEADER, mark_line, marks_path
from .naming import nameless
from .private_files import create_private, part_path
from .samples import SampleBlock, SourceInfo

FIRST_LINE = "# edge-ecg recording"
TIME = "time_s"
ACCELERATION = ("acc_x_g", "acc_y_g", "acc_z_g")
_FLUSH_S = 1.0
_MISSING = dict.fromkeys((TIME, *ACCELERATION), "nan")


class Recorder:
    """Write blocks to a new file; an existing one is never touched.

    The file is created at once (so that a wrong path is noticed before the device is opened), gets its header
    from :meth:`begin`, and is taken away again when nothing was recorded. ``samples`` were given to it; when
    a write has ``failed``, not all of them are in the file.

    Parameters
    ----------
    path:
        The file to make.
    person:
        The pseudonym of whoever is recorded, for the header; None where it is not known.

    Raises
    ------
    DataError
        When the file exists or cannot be made; from :meth:`write`, when the disk is full.

    """

    def __init__(
        self, path: str | Path, *, person: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = Path(path)
        self.person = person
        self.samples = 0
        self.failed = False
        self._clock = clock
        self._flushed_s = clock()
        self._columns: tuple[str, ...] | None = None
        self._first_s: float | None = None
        self._marks: TextIO | None = None
        if marks_path(self.path).exists():
            raise self._exists(marks_path(self.path))
        self._file = self._create(self.path)

    def begin(self, info: SourceInfo) -> None:
        """Write what is known of the source."""
        lines = {
            "fs_hz": repr(float(info.fs_hz)),
            "unit": "mV",
            "device": info.device,
            "source": nameless(info.address),
        }
        if self.person is not None:
            lines["person"] = self.person
        header = [FIRST_LINE, *(f"# {key}: {value}" for key, value in lines.items())]
        self._write("".join(line.replace("\n", " ") + "\n" for line in header))

    def write(self, block: SampleBlock) -> None:
        """Append one block; it is on its way to the disk within a second."""
        if self._first_s is None:
            self._first_s = block.start_s
        columns = _columns_of(block)
        if self._columns is None:
            self._columns = tuple(columns)
            self._write(",".join(("sample", "ecg_mv", *self._columns)) + "\n")
        elif not columns.keys() <= set(self._columns):
            self._widen([name for name in columns if name not in self._columns])
        numbers = range(block.first_sample, block.first_sample + len(block))
        # What this block lacks and others have is not set (flags) or not known.
        values = [columns.get(name) or [_MISSING.get(name, "0")] * len(block) for name in self._columns]
        rows = zip(numbers, map(repr, block.ecg_mv.tolist()), *values, strict=True)
        self._write("".join(",".join(map(str, row)) + "\n" for row in rows))
        self.samples += len(block)
        now = self._clock()
        if now - self._flushed_s >= _FLUSH_S:
            self._flushed_s = now
            self._flush()

    def mark(self, at_s: float, text: str) -> None:
        """Keep a mark at a device time; it is on its way to the disk at once."""
        if not text.strip():
            return
        try:
            if self._marks is None:
                self._marks = self._create(marks_path(self.path))
                self._marks.write(mark_line(HEADER))
            # The file counts from the first sample that it holds.
            self._marks.write(mark_line((round(at_s - (self._first_s or 0.0), 6), text.strip())))
            self._marks.flush()
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Finish the files."""
        if self._file.closed:
            return
        try:
            with self._marks or nullcontext(), self._file:
                pass  # both are closed, even where the end of one does not fit on the disk
        except OSError as error:
            raise self._failure(error) from error
        finally:
            if not self.samples:
                self.path.unlink(missing_ok=True)
                if self._marks is not None:
                    marks_path(self.path).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _create(self, path: Path) -> TextIO:
        try:
            return open(create_private(path), "w", encoding="utf-8", newline="\n")
        except FileExistsError as error:
            raise self._exists(path) from error
        except OSError as error:
            raise self._failure(error) from error

    def _write(self, text: str) -> None:
        try:
            self._file.write(text)
        except OSError as error:
            raise self._failure(error) from error

    def _flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise self._failure(error) from error

    def _widen(self, names: list[str]) -> None:
        """Write the file anew with columns that come only now, as when a strap first tells of its contact.

        That is a matter of the first second as a rule. The rows so far stay where they are until the new ones
        are whole.
        """
        assert self._columns is not None
        part = part_path(self.path)
        added = "".join(f",{name}" for name in names)
        try:
            self._file.flush()
            part.unlink(missing_ok=True)
            with open(self.path, encoding="utf-8", newline="\n") as rows, self._create(part) as wider:
                for line in rows:
                    wider.write(line if line.startswith("#") else f"{line[:-1]}{added}\n")
                    if not line.startswith("#"):  # the first is the heading
                        added = "".join(f",{_MISSING.get(name, '0')}" for name in names)
            self._file.close()
            part.replace(self.path)
            self._file = _open_again(self.path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise self._failure(error) from error
        self._columns = (*self._columns, *names)

    def _exists(self, path: Path) -> DataError:
        return DataError(
            f"{path} exists already; a recording is never overwritten.", remedy="Give --record another name."
        )

    def _failure(self, error: OSError) -> DataError:
        self.failed = True
        return DataError(
            f"The recording {self.path} cannot be written.",
            why=f"{error.strerror or error}.",
            remedy="Give --record a path in a folder that you may write to, on a disk with room.",
        )


def _open_again(path: Path) -> TextIO:
    return open(path, "a", encoding="utf-8", newline="\n")


def _columns_of(block: SampleBlock) -> dict[str, list[str]]:
    """Return what a block carries beside its samples, as the text of each column."""
    columns = {
        name: list(map(str, flags.astype(int).tolist()))
        for name, flags in (("lead_off", block.lead_off), ("saturated", block.saturated))
        if flags is not None
    }
    if block.time_s is not None:
        columns[TIME] = list(map(repr, block.time_s.tolist()))
    if block.acceleration_g is not None:
        for name, axis in zip(ACCELERATION, block.acceleration_g.T, strict=True):
            columns[name] = list(map(repr, axis.tolist()))
    return columns
