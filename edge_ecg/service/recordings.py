"""Recordings of a service that runs for weeks: a new file now and then, a limit on all, room on the disk.

A recording never stops the decisions: when it cannot go on, it is told once and left away.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ..errors import DataError
from ..marks import marks_path
from ..people import RECORDING, People, real_place
from ..recorder import Recorder
from ..samples import SampleBlock, SourceInfo
from .log import Log
from .schema import RecordSection

PATTERN = "ecg-*.csv"
_MB = 1_000_000
# Looking at a folder costs; a minute of signal is some hundred kB.
_LOOK_EVERY_S = 20.0
_MARKS_SUFFIX = ".marks.csv"


def free_bytes(folder: Path) -> int:
    """Return how much room is left on the disk of a folder."""
    return shutil.disk_usage(folder).free


class Recordings:
    """Takes blocks and marks as a recorder does (:class:`edge_ecg.session.BlockSink`); never raises.

    Parameters
    ----------
    section:
        What the configuration says.
    info:
        The open source.
    log:
        Is told when recording stops or goes on.
    wall_clock:
        Names the files.
    free:
        Folder -> bytes left on its disk.
    person:
        Whose ECG it is, by pseudonym; None where nobody said so.
    people:
        The index that ``edge-ecg forget`` goes by; is told which files are that person's.

    """

    def __init__(
        self,
        section: RecordSection,
        info: SourceInfo,
        log: Log,
        *,
        wall_clock: Callable[[], datetime],
        free: Callable[[Path], int] = free_bytes,
        person: str | None = None,
        people: People | None = None,
    ) -> None:
        assert section.directory is not None, "recordings need a folder"
        self._folder = Path(section.directory)
        self._section = section
        self._info = info
        self._log = log
        self._wall_clock = wall_clock
        self._free = free
        self._person = person
        self._people = people if person is not None else None
        self._recorder: Recorder | None = None
        self._begin_s = 0.0
        self._look_s: float | None = None
        self._held = False
        self._stopped = ""

    @property
    def stopped(self) -> str:
        """Why nothing is recorded; empty while something is."""
        return self._stopped

    def write(self, block: SampleBlock) -> None:
        """Keep a block, if it can be kept."""
        if self._look_s is None or block.start_s >= self._look_s:
            self._look_s = block.start_s + _LOOK_EVERY_S
            hindrance = self._hindrance()
            self._held = bool(hindrance)
            if hindrance:
                self._note(hindrance)
        if self._held:
            return
        rotate_s = 60 * self._section.rotate_minutes
        try:
            if self._recorder is not None and block.start_s - self._begin_s >= rotate_s:
                self.close()
            if self._recorder is None:
                self._recorder = self._begin(block.start_s)
            self._recorder.write(block)
        except DataError as error:
            self._held = True  # until the next look
            self._note(_in_words(error))
        else:
            self._note("")

    def mark(self, at_s: float, text: str) -> None:
        """Keep a mark, if there is a recording."""
        if self._recorder is None:
            return
        try:
            self._recorder.mark(at_s, text)
        except DataError as error:
            self._note(_in_words(error))

    def close(self) -> None:
        """Finish the file."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            try:
                recorder.close()
                if not recorder.path.exists():  # nothing was recorded
                    self._disown(recorder.path)
            except DataError as error:
                self._log.warning(f"{_in_words(error)}.")

    def _begin(self, at_s: float) -> Recorder:
        moment = self._wall_clock().astimezone()
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise DataError(
                f"The folder {self._folder} cannot be made.", why=f"{error.strerror or error}."
            ) from error
        path = self._folder / f"ecg-{moment:%Y%m%d-%H%M%S}.csv"
        number = 1
        while path.exists() or marks_path(path).exists():
            number += 1
            path = self._folder / f"ecg-{moment:%Y%m%d-%H%M%S}-{number}.csv"
        recorder = Recorder(path, person=self._person)
        try:
            if self._people is not None and self._person is not None:
                self._people.add_file(self._person, path, RECORDING)
            recorder.begin(self._info)
        except DataError:
            recorder.close()  # and it goes: otherwise each attempt would leave an empty file
            raise
        self._begin_s = at_s
        return recorder

    def _hindrance(self) -> str:
        """Return why nothing may be recorded now, after having made room where that is wanted."""
        try:
            if not self._folder.is_dir():
                return ""  # made when the first file is
            while self._total_bytes() >= self._section.limit_mb * _MB:
                if self._section.when_full == "stop" or not self._forget_oldest():
                    return f"the recordings in {self._folder} have reached record.limit_mb"
            if self._free(self._folder) < self._section.min_free_mb * _MB:
                return f"the disk of {self._folder} has less than record.min_free_mb of room"
        except OSError as error:
            return f"{self._folder} cannot be looked at: {error.strerror or error}"
        return ""

    def _files(self) -> list[Path]:
        """The finished and present recordings, the oldest first: their names are their dates."""
        return sorted(path for path in self._folder.glob(PATTERN) if not path.name.endswith(_MARKS_SUFFIX))

    def _total_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._folder.glob(PATTERN))

    def _forget_oldest(self) -> bool:
        present = None if self._recorder is None else self._recorder.path
        for path in self._files():
            if path != present:
                path.unlink()
                marks_path(path).unlink(missing_ok=True)
                self._disown(path)
                self._log.notice(f"Deleted {path}: the recordings have reached record.limit_mb.")
                return True
        return False

    def _disown(self, path: Path) -> None:
        """Take a file that is gone out of the index; that this fails costs an entry that leads nowhere."""
        if self._people is not None and self._person is not None:
            try:
                self._people.drop_files(self._person, {real_place(path)})
            except DataError as error:
                self._log.warning(f"{_in_words(error)}.")

    def _note(self, hindrance: str) -> None:
        if hindrance and not self._stopped:
            self._log.warning(f"Not recording: {hindrance}. Decisions go on.")
        elif self._stopped and not hindrance:
            self._log.notice("Recording again.")
        self._stopped = hindrance
        if hindrance:
            self.close()


def _in_words(error: DataError) -> str:
    return f"{error.what} {error.why}".strip().rstrip(".")
