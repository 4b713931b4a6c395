"""What a data set is to edge-ecg: a folder that can be checked and that yields recordings in millivolts.

A reader is one class of 60 lines or so. It names its owners and its licence, knows the file forms in which
the set is passed around, and gives :class:`Recording` objects that load their samples only when asked.
Nothing is filtered, scaled, dropped or judged here: a reader gives the owners' annotations as they are
(:class:`Span`), :mod:`~edge_ecg_train.datasets.label_rules` makes classes of them, and
:mod:`edge_ecg_train.prepare` filters and scales with the classes that run live.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from edge_ecg.errors import DataError, UsageError

from .label_rules import Rule, bundled_rules
from .recording import Recording, Report, Span, Value

__all__ = ["Dataset", "Form", "Recording", "Report", "Span", "Value"]


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which a data set is passed around.

    Attributes
    ----------
    name:
        ``arrays``, ``EDF`` or ``WFDB``.
    files:
        Names or patterns; a folder that holds any of them holds the data set in this form.
    folders:
        Usual names of that folder, looked for below the folder that the user gives.

    """

    name: str
    files: tuple[str, ...]
    folders: tuple[str, ...]


class Dataset(ABC):
    """A reader. Subclasses set the class attributes and implement :meth:`_recordings` and :meth:`_expected`.

    ``people`` and ``hours`` describe the published set, whatever a folder holds of it. ``labels`` are the
    classes of tasks that a reader labels itself, a whole recording at a time; all other tasks come from the
    rules of ``tasks.toml``. ``caution`` is what whoever reads numbers from it must know. ``forms`` are tried
    in order. ``private`` is True where a store of the set is for its owner alone: recordings that nobody has
    published.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    people: ClassVar[int]
    hours: ClassVar[float]
    labels: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    caution: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    url: ClassVar[str]
    forms: ClassVar[tuple[Form, ...]]
    private: ClassVar[bool] = False

    @abstractmethod
    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        """Yield the recordings that the folder should hold and whose files are there."""

    def _missing(self, folder: Path, form: Form) -> list[str]:
        """Names of files that belong to the form and are not in the folder."""
        return [name for name in self._expected(form) if not (folder / name).is_file()]

    @abstractmethod
    def _expected(self, form: Form) -> Iterable[str]:
        """Names of all files that belong to the form."""

    def with_channel(self, channel: str) -> Dataset:
        """The same set, with the ECG's channel given by name or number.

        Raises
        ------
        UsageError
            When the set leaves no choice.

        """
        raise UsageError(
            f"The channel of {self.name} cannot be chosen.",
            why="Its reader knows where the ECG is.",
            remedy="Leave out --channel.",
        )

    def with_names(self) -> Dataset:
        """The same set with people called as its table calls them; a published set has pseudonyms there."""
        return self

    def rules(self, root: Path | None = None) -> tuple[Rule, ...]:
        """How this set's annotations become classes; ``root`` for a set that brings its own rules."""
        return bundled_rules().get(self.name, ())

    def tasks(self, root: Path | None = None) -> dict[str, tuple[str, ...]]:
        """Task to the names of its classes, by the reader and by the rules."""
        return {**self.labels, **{rule.task: rule.names for rule in self.rules(root)}}

    def recordings(self, root: Path) -> Iterator[Recording]:
        """Yield all recordings below ``root``: the data set's folder or the folder that holds it.

        Raises
        ------
        DataError
            When ``root`` holds no such data set, or its table cannot be read.

        """
        folder, form = self.locate(root)
        yield from self._recordings(folder, form)

    def locate(self, root: Path) -> tuple[Path, Form]:
        """Find the data set at or directly below ``root``.

        Raises
        ------
        DataError
            When it is not there: says what was expected and what was found.

        """
        for form in self.forms:
            for folder in (root, *(root / name for name in form.folders)):
                if folder.is_dir() and any(any(folder.glob(pattern)) for pattern in form.files):
                    return folder, form
        raise _not_this_dataset(self, root)

    def check(self, root: Path) -> Report:
        """Read every sample and report what is missing and what is damaged.

        Raises
        ------
        DataError
            When ``root`` holds no such data set at all.

        """
        folder, form = self.locate(root)
        missing = self._missing(folder, form)
        damaged: dict[str, str] = {}
        whole: list[Recording] = []
        try:
            for recording in self._recordings(folder, form):
                try:
                    recording.ecg_mv()
                    whole.append(recording)
                except DataError as error:
                    damaged[f"{recording.subject} {recording.session}"] = str(error)
        except DataError as error:
            damaged[folder.name] = str(error)
        # Two leads of one recording are one stretch of a person's time.
        seconds = {(one.subject, one.session.split(".")[0]): one.duration_s for one in whole}
        return Report(
            dataset=self.name,
            folder=folder,
            form=form.name,
            subjects=len({one.subject for one in whole}),
            recordings=len(whole),
            minutes=sum(seconds.values()) / 60.0,
            unusable=sum(not one.usable for one in whole),
            missing=tuple(missing),
            damaged=damaged,
        )


def _not_this_dataset(dataset: Dataset, root: Path) -> DataError:
    expected = " or ".join(f"{form.files[0]} ({form.name})" for form in dataset.forms)
    if not root.is_dir():
        found = "There is no such folder."
    else:
        names = sorted(entry.name for entry in root.iterdir())
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        found = f"The folder holds {shown}." if names else "The folder is empty."
    get = f"Get it from {dataset.url}, or give" if dataset.url else "Give"
    return DataError(
        f"{root} does not hold the data set {dataset.name}.",
        why=f"{found} Expected {expected}.",
        remedy=f"{get} --root the folder that holds it.",
    )
