"""The model card: what was measured, on whom, by which protocol, as data and as text that a person reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .evaluate import (
    ENCODER,
    HEART,
    PEOPLE_SPLIT,
    SPREAD,
    WINDOW_FOLDS,
    WINDOW_SPLIT,
    Evaluation,
    Result,
)
from .store import WindowStore

COLUMNS = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "f1_sarkar": "F1 (Sarkar)",
}
SPLIT_NAMES = {
    PEOPLE_SPLIT: "leave one person out",
    WINDOW_SPLIT: f"random windows, {WINDOW_FOLDS} parts (leaks)",
}


def make_card(
    evaluation: Evaluation,
    store: WindowStore,
    pretext_datasets: Sequence[Mapping[str, Any]] | None,
    command: str,
) -> dict[str, Any]:
    """One task's entry of a card, as plain values.

    Parameters
    ----------
    evaluation, store:
        The numbers, and the windows they were measured on.
    pretext_datasets:
        The data sets that the encoder was pretrained on, each with its name and, for attribution, title,
        licence, citation and url; None when the run does not say.
    command:
        What makes these numbers again.

    """
    first = evaluation.results[0]
    pretrained = None if pretext_datasets is None else [_source(entry) for entry in pretext_datasets]
    labelled = [entry for entry in store.info["datasets"] if entry["windows"]]
    return {
        "task": evaluation.task,
        "labels": list(evaluation.labels),
        "datasets": [dict(entry) for entry in labelled],
        "people": first.people,
        "windows": first.windows,
        "majority_rate": first.metrics["majority_rate"].to_json(),
        "protocol": {
            "split": SPLIT_NAMES[PEOPLE_SPLIT],
            "window_s": 10.0,
            "hop_s": store.info["windowing"]["hop_s"],
            "kept": store.info["windowing"]["kept"],
            "normalisation": store.preprocessing["normalisation"],
            "preprocessing_hash": store.preprocessing_hash,
            "interval": "95 %, bootstrap over people",
            "draws": evaluation.draws,
            "seed": evaluation.seed,
            "encoder_pretrained_on": pretrained,
            "encoder_saw_tested_people": bool(
                {entry["name"] for entry in labelled} & {entry["name"] for entry in pretrained or ()}
            ),
        },
        "results": [_result(one) for one in evaluation.results],
        "encoder_minus_heart_rate": {
            calibration: {name: interval.to_json() for name, interval in difference.items()}
            for calibration, difference in evaluation.differences.items()
        },
        "command": command,
    }


def _source(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("name", "title", "licence", "citation", "url") if name in entry}


def _result(result: Result) -> dict[str, Any]:
    return {
        "system": result.system,
        "split": SPLIT_NAMES[result.split],
        "calibration": result.calibration,
        "people": result.people,
        "windows": result.windows,
        "metrics": {name: interval.to_json() for name, interval in result.metrics.items()},
        "per_person": {name: result.spread(name) for name in SPREAD},
    }


def warnings_of(card: Mapping[str, Any]) -> list[str]:
    """What a reader of one task's numbers must know, in sentences."""
    lines = [entry["caution"] for entry in card["datasets"]]
    lines.append(
        "Random windows put the same person, and overlapping windows, into training and test: those rows "
        "only show by how much such a split flatters."
    )
    if card["protocol"]["encoder_pretrained_on"] is None:
        lines.append(
            "What the encoder was pretrained on is not recorded: it may have seen the people it is tested on."
        )
    if card["protocol"]["encoder_saw_tested_people"]:
        lines.append(
            "The encoder was pretrained, without labels, on the data set that it is tested on: tested people "
            "were not new to it."
        )
    lines += [
        _verdict(calibration, one["auc"]) for calibration, one in card["encoder_minus_heart_rate"].items()
    ]
    return lines


def _verdict(calibration: str, difference: Mapping[str, float | None]) -> str:
    """What the paired interval of the AUC allows to say."""
    low, high = difference["low"], difference["high"]
    if low is None or high is None or low <= 0.0 <= high:
        said = "on these people neither is shown to be better, the encoder or three heart-rate features"
    elif low > 0.0:
        said = "the encoder is better than three heart-rate features"
    else:
        said = "three heart-rate features are better than the encoder"
    return f"Personal baseline {calibration}: {said}."


def markdown(name: str, cards: Sequence[Mapping[str, Any]]) -> str:
    """CARD.md: the cards of all tasks of one model."""
    lines = [f"# {name}", "", "Research software, not a medical device.", ""]
    for card in cards:
        protocol = card["protocol"]
        lines += [
            f"## {card['task']}: {' / '.join(card['labels'])}",
            "",
            f"{card['people']} people, {card['windows']} windows of {protocol['window_s']:g} s, "
            f"one every {protocol['hop_s']:g} s; the most frequent class is "
            f"{card['majority_rate']['value']:.1%} of them. "
            f"Normalisation: {protocol['normalisation']}. Intervals: {protocol['interval']} "
            f"({protocol['draws']} draws).",
            "",
            "| system | split | personal baseline | " + " | ".join(COLUMNS.values()) + " |",
            "|---" * (3 + len(COLUMNS)) + "|",
        ]
        for result in card["results"]:
            cells = [result["system"], result["split"], result["calibration"]]
            cells += [cell(result["metrics"][metric]) for metric in COLUMNS]
            lines.append("| " + " | ".join(cells) + " |")
        lines += ["", *_difference_lines(card), *_spread_lines(card), "", "Know before use:", ""]
        lines += [f"- {line}" for line in warnings_of(card)]
        lines += ["", "Measured on:", ""]
        lines += [_attribution(one) for one in card["datasets"]]
        lines += ["", "Encoder pretrained, without labels, on:", ""]
        sources = protocol["encoder_pretrained_on"]
        lines += ["- not recorded"] if sources is None else [_attribution(one) for one in sources]
        lines += ["", f"Made by `{card['command']}`.", ""]
    return "\n".join(lines)


def _attribution(source: Mapping[str, Any]) -> str:
    """One line of a list: who is to be named."""
    if "title" not in source:
        return f"- {source['name']}"
    return f"- {source['title']} ({source['licence']}). {source['citation']} {source['url']}"


def _difference_lines(card: Mapping[str, Any]) -> list[str]:
    return [
        f"{ENCODER} minus {HEART}, personal baseline {calibration}: "
        f"AUC {cell(difference['auc'], signed=True)}, "
        f"balanced accuracy {cell(difference['balanced_accuracy'], signed=True)} (paired by people)."
        for calibration, difference in card["encoder_minus_heart_rate"].items()
    ]


def _spread_lines(card: Mapping[str, Any]) -> list[str]:
    lines = []
    for result in card["results"]:
        spread = result["per_person"]["balanced_accuracy"]
        if (
            result["system"] == ENCODER
            and result["split"] == SPLIT_NAMES[PEOPLE_SPLIT]
            and "median" in spread
        ):
            lines.append(
                f"Person by person ({ENCODER}, personal baseline {result['calibration']}): balanced accuracy "
                f"{spread['min']:.2f} to {spread['max']:.2f}, "
                f"half of the people between {spread['q25']:.2f} and {spread['q75']:.2f}."
            )
    return lines


def cell(interval: Mapping[str, float | None], *, signed: bool = False) -> str:
    """An interval, as plain values, the way the card prints it."""
    sign = "+" if signed else ""
    value, low, high = (
        "–" if interval[name] is None else f"{interval[name]:{sign}.3f}" for name in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"
