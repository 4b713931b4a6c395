"""Labels of windows: the rules of a data set applied to the spans that a window lies in."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from edge_ecg.errors import UsageError
from edge_ecg.signal.resample import MODEL_FS_HZ

from .base import Recording, Span
from .label_rules import Rule

LABELS = ("whole", "max")
# Half a sample: a window's place is known no better, and an end may have been rounded to the next sample.
_SLACK_S = 0.5 / MODEL_FS_HZ


class Labeller:
    """Gives the windows of one data set their classes.

    Parameters
    ----------
    rules:
        The data set's rules.
    kind:
        ``whole``: a window has a label only when it lies wholly within a span, and all spans that it lies in
        agree. ``max``: the largest value that touches the window decides, as in the code that Sarkar and
        Etemad released; windows on a border then belong to the larger one.

    Raises
    ------
    UsageError
        When ``kind`` is another.

    """

    def __init__(self, rules: Sequence[Rule], kind: str = LABELS[0]) -> None:
        if kind not in LABELS:
            raise UsageError(f"There is no way {kind!r} to label.", remedy=f"Take {' or '.join(LABELS)}.")
        self.rules = tuple(rules)
        self.kind = kind
        self._means: dict[tuple[str, str], float] = {}

    @property
    def needs_means(self) -> bool:
        """Whether :meth:`learn_means` has to see all recordings before the first label is given."""
        return any(rule.mean_of for rule in self.rules)

    def learn_means(self, recordings: Iterable[Recording]) -> None:
        """Take the mean of every person's and of all ratings; only the annotations are read.

        A stretch that was recorded from two leads counts once.
        """
        fields = {rule.field for rule in self.rules if rule.mean_of}
        ratings: dict[tuple[str, str], dict[tuple[object, ...], float]] = defaultdict(dict)
        for recording in recordings:
            for span in recording.spans:
                stretch = (recording.subject, recording.session.split(".")[0], span.start_s, span.end_s)
                for field in fields & span.values.keys():
                    value = span.values[field]
                    if isinstance(value, int | float) and math.isfinite(value):
                        ratings[field, recording.subject][stretch] = float(value)
                        ratings[field, ""][stretch] = float(value)
        self._means = {key: math.fsum(found.values()) / len(found) for key, found in ratings.items()}

    def labels(self, recording: Recording, start_s: float, end_s: float) -> dict[str, int]:
        """Task to class number of a window, given its seconds; a task that it has no label for is absent."""
        found = dict(recording.labels)
        for rule in self.rules:
            number = self._class_of(rule, recording, start_s, end_s)
            if number is not None:
                found[rule.task] = number
        return found

    def _class_of(self, rule: Rule, recording: Recording, start_s: float, end_s: float) -> int | None:
        spans = [span for span in recording.spans if rule.field in span.values]
        mean = self._means.get((rule.field, recording.subject if rule.mean_of == "person" else ""), math.nan)
        if self.kind == "max":
            values = [span.values[rule.field] for span in spans if _touches(span, start_s, end_s)]
            values = [value for value in values if rule.rank(value) > -math.inf]
            return rule.class_of(max(values, key=rule.rank), mean) if values else None
        classes = {
            rule.class_of(span.values[rule.field], mean) for span in spans if _holds(span, start_s, end_s)
        }
        return classes.pop() if len(classes) == 1 else None


def labelling(kind: str, rules: Mapping[str, Sequence[Rule]]) -> dict[str, object]:
    """How a store's labels were made, in plain values: for ``store.json`` and the labels' hash."""
    return {
        "kind": kind,
        "rules": {
            name: {rule.task: rule.to_json() for rule in of_set} for name, of_set in rules.items() if of_set
        },
    }


def _holds(span: Span, start_s: float, end_s: float) -> bool:
    return span.start_s - _SLACK_S <= start_s and end_s <= span.end_s + _SLACK_S


def _touches(span: Span, start_s: float, end_s: float) -> bool:
    return span.start_s < end_s - _SLACK_S and start_s + _SLACK_S < span.end_s
