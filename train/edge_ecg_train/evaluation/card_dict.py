"""The evaluation card as plain values: everything that its terminal, Markdown and HTML forms print.

One card is about one task. Every number stands beside its interval, its people and its windows, and every
table beside the command that made it. Sentences (``sentences``) are made here too, so that all forms say the
same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from edge_ecg.errors import DataError

from .. import metrics as base
from . import wording
from .arms import group
from .calibration import BINS
from .card_sections import Sections
from .predictions import Predictions

SCHEMA = 1


class Finding(Protocol):
    """What a leak check found."""

    @property
    def check(self) -> str:
        """What was checked."""

    @property
    def passed(self) -> bool:
        """Whether no leak was found."""

    @property
    def detail(self) -> str:
        """What was found, and where."""


def build_card(
    predictions: Iterable[Predictions],
    findings: Sequence[Finding],
    *,
    title: str,
    command: str,
    store_facts: Mapping[str, Any],
    draws: int = base.DRAWS,
    seed: int = 0,
    reference: str | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Reduce out-of-fold predictions of one task to its card, as plain values.

    Parameters
    ----------
    predictions:
        Of all systems under all protocols, every seed its own.
    findings:
        Of the leak checks, about the honest protocols.
    title, command:
        What the card is about, and the command that makes it again.
    store_facts:
        The store's ``store.json``.
    draws, seed:
        Of the bootstrap over people.
    reference:
        The system that all others are compared with, such as the three-feature model. Left out where it
        did not run.
    pairs:
        More systems to compare: the first minus the second, at every share of labels that both have.
    facts:
        Anything else that is to stand on the card: machine, duration, encoders, failures.

    Raises
    ------
    DataError
        When there are no predictions, or they do not fit together (see :func:`~.arms.group`).

    """
    arms = group(predictions)
    if not arms:
        raise DataError("There are no predictions to make a card of.", remedy="Run the recipe's sweep first.")
    sections = Sections(arms, command, draws, seed, reference, tuple(pairs))
    first = arms[0].runs[0]
    leaks = [{"check": f.check, "passed": bool(f.passed), "detail": f.detail} for f in findings]
    card: dict[str, Any] = {
        "schema": SCHEMA,
        "title": title,
        "task": first.task,
        "labels": list(first.names),
        "command": command,
        "trustworthy": all(one["passed"] for one in leaks) if leaks else None,
        "leaks": {"findings": leaks},
        "protocol": {
            "interval": "95 %, percentile bootstrap over people",
            "p": "two-sided, from the same draws; Holm: corrected for the systems compared in one setting",
            "draws": draws,
            "seed": seed,
            "seeds": sorted({number for arm in arms for number in arm.seeds}),
            "auc": "pooled over windows; of more than two classes the mean over one-against-rest",
            "ece": f"confidence of the predicted class, {BINS} bins of equal mass",
        },
        "reference": reference if any(arm.system == reference for arm in arms) else None,
        "pairs": [list(pair) for pair in pairs],
        "store": dict(store_facts),
        "facts": dict(facts or {}),
        **sections.all(),
    }
    card["leaks"]["lines"] = wording.leak_lines(card["leaks"])
    card["sentences"] = _sentences(card)
    return card


def _sentences(card: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a researcher may quote, by section."""
    honest = [setting for setting in card["settings"] if setting["honest"]]
    comparisons = [row for setting in honest for row in setting["differences"]]
    lost = [wording.lost_people(row) for row in comparisons]
    below = [wording.below_majority(row, setting) for setting in honest for row in setting["systems"]]
    return {
        "comparison": [wording.compared(row) for row in comparisons],
        "choices": [
            wording.chosen(row, setting) for setting in honest for row in setting["systems"] if row["chosen"]
        ],
        "people": [line for line in (*below, *lost) if line is not None],
        "random_windows": [wording.flattered(row) for row in card["random_windows"]["rows"]],
        "label_efficiency": [wording.fraction_claim(row) for row in card["label_efficiency"]["differences"]],
        "baseline": [wording.gained(row) for row in card["baseline"]["rows"]],
        "context": [wording.gained(row) for row in card["context"]["rows"]],
        "calibration": [wording.calibrated(row) for row in card["calibration"]["rows"]],
        "caution": [
            *dict.fromkeys(str(d["caution"]) for d in card["store"].get("datasets", ()) if d.get("caution")),
            wording.looks(card["looks"]["results"], card["looks"]["systems"]),
        ],
    }
