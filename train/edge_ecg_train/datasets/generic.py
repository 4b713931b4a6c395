"""A laboratory's own recordings: a folder of files that edge-ecg can open, and ``labels.csv``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from edge_ecg.errors import DataError, UsageError

from .base import Dataset, Form, Recording, Span
from .files import EcgFile, failing, load_file
from .generic_labels import NAME, OPENING, File, Labels, Row, read_labels
from .label_rules import Rule, read_rules

_RULES = "tasks.toml"
# An end that was rounded up is no mistake.
_END_SLACK_S = 1.0


class Generic(Dataset):
    """One recording a file: EDF, WFDB, CSV, OpenSignals or NumPy, whatever ``edge-ecg run`` can play.

    Fields of its annotations: the columns of ``labels.csv`` that have no meaning of their own. Each column of
    words is a task with the words as classes, in alphabetical order, unless a rule in the folder's own
    ``tasks.toml`` says otherwise; a column of numbers needs such a rule.

    Parameters
    ----------
    channel:
        Name or number (from 0) of the ECG's channel where ``labels.csv`` gives none.
    keep_names:
        Call people and sessions as ``labels.csv`` does. Else they get numbers: ``generic/P07``, in the order
        of their names (so that splits by people stay what they are), sessions in the order of the table.

    """

    name = "generic"
    title = "A folder of one's own recordings with labels.csv"
    people = 0
    hours = 0.0
    caution = "Not a published set: what it holds and may be used for is known to whoever recorded it."
    licence = "its owners'"
    citation = "none: recordings of one's own"
    url = ""
    forms = (Form("labels.csv", (NAME,), ("generic",)),)
    private = True

    def __init__(self, channel: str | None = None, *, keep_names: bool = False) -> None:
        self.channel = channel
        self.keep_names = keep_names

    def with_channel(self, channel: str) -> Generic:
        """The same folder, with the ECG's channel given where ``labels.csv`` gives none."""
        return Generic(channel, keep_names=self.keep_names)

    def with_names(self) -> Generic:
        """The same folder, with people and sessions called as ``labels.csv`` calls them."""
        return Generic(self.channel, keep_names=True)

    def rules(self, root: Path | None = None) -> tuple[Rule, ...]:
        """The folder's own rules, and one for each column of words without; none when no folder is given."""
        if root is None:
            return ()
        folder, _ = self.locate(root)
        labels = read_labels(folder / NAME)
        given = read_rules(folder / _RULES) if (folder / _RULES).is_file() else ()
        rules = labels.rules(given)
        if not rules and labels.numbers:
            raise DataError(
                f"No column of {labels.path} makes a task.",
                why=f"{', '.join(labels.numbers)} hold numbers, and no rule says what they mean.",
                remedy=f"Write a {_RULES} beside it (docs/data.md has one), or use words.",
            )
        return rules

    def _expected(self, form: Form) -> Iterable[str]:
        return ()

    def _missing(self, folder: Path, form: Form) -> list[str]:
        try:
            labels = read_labels(folder / NAME)
        except DataError:
            # Reading the recordings is going to say the same.
            return []
        return [file.name for file in labels.files if not _exists(folder / file.name)]

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        labels = read_labels(folder / NAME)
        named = [(file.subject, file.session) for file in labels.files]
        for file, (subject, session) in zip(
            labels.files, named if self.keep_names else numbered(named), strict=True
        ):
            yield replace(
                self._recording(folder, labels, file), subject=f"{self.name}/{subject}", session=session
            )

    def _recording(self, folder: Path, labels: Labels, file: File) -> Recording:
        path = folder / file.name
        given = file.opening if self.channel is None else {"channel": self.channel, **file.opening}
        options = {OPENING[name]: value for name, value in given.items()}
        recording = Recording(
            dataset=self.name,
            subject=file.subject,
            session=file.session,
            lead=given.get("channel", "ECG"),
            fs_hz=1.0,
            n_samples=0,
            load=partial(failing, _missing_file(labels, file)),
        )
        if not _exists(path):
            return recording
        try:
            opened = EcgFile.open(path, options)
            n_samples = _length(path, tuple(sorted(options.items())), _state(path))
        except (DataError, UsageError) as error:
            return replace(recording, load=partial(failing, _in_line(labels, file, error)))
        try:
            spans = tuple(_span(labels.path, row, n_samples / opened.fs_hz) for row in file.rows)
        except DataError as error:
            return replace(recording, load=partial(failing, error))
        return replace(
            recording,
            lead=opened.lead,
            fs_hz=opened.fs_hz,
            n_samples=n_samples,
            load=partial(load_file, path, options, n_samples),
            spans=spans,
        )


def numbered(named: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (subject, session) with numbers for names: ``("P02", "1")``.

    People are numbered in the order of their names, so that they sort as before; the sessions of each in the
    order in which they come.
    """
    people = sorted({subject for subject, _ in named})
    width = len(str(len(people)))
    number = {subject: f"P{index:0{width}}" for index, subject in enumerate(people, 1)}
    sessions: Counter[str] = Counter()
    pairs = []
    for subject, _ in named:
        sessions[subject] += 1
        pairs.append((number[subject], str(sessions[subject])))
    return pairs


def _span(path: Path, row: Row, duration_s: float) -> Span:
    if row.start_s >= duration_s or (row.end_s != float("inf") and row.end_s > duration_s + _END_SLACK_S):
        raise DataError(
            f"{path}, line {row.line}, labels more than there is.",
            why=f"{row.file} is {duration_s:.1f} s long; the line says {row.start_s:g} to {row.end_s:g} s.",
            remedy="Count the seconds from the first sample of the file.",
        )
    return Span(row.start_s, min(row.end_s, duration_s), row.values)


def _exists(path: Path) -> bool:
    """Whether there is such a file, or a WFDB record of that name."""
    return path.is_file() or Path(f"{path}.hea").is_file()


def _state(path: Path) -> tuple[int, int]:
    """What tells that a file is still the same: size and time of its last change."""
    stat = (path if path.is_file() else Path(f"{path}.hea")).stat()
    return stat.st_size, stat.st_mtime_ns


@cache
def _length(path: Path, options: tuple[tuple[str, str], ...], state: tuple[int, int]) -> int:
    """Number of samples; remembered, for a text file has to be read to its end to know."""
    return EcgFile.open(path, dict(options)).length()


def _missing_file(labels: Labels, file: File) -> DataError:
    lines = ", ".join(str(row.line) for row in file.rows)
    return DataError(
        f"{file.name} is missing.",
        why=f"{labels.path} names it in line {lines}.",
        remedy="Put it there, or take the line out.",
    )


def _in_line(labels: Labels, file: File, error: DataError | UsageError) -> DataError:
    """The error, with the line that names the file, and where the reader's options stand here."""
    return DataError(
        f"{labels.path}, line {file.rows[0].line}: {error.what}",
        why=error.why,
        remedy=f"{error.remedy} Options stand in the columns {', '.join(OPENING)} of {NAME}.".strip(),
    )
