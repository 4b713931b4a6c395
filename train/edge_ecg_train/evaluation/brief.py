"""The evaluation card on two screens: what decides, and nothing that only supports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .tables import Section, Table, summary_of
from .wording import (
    METRIC_NAMES,
    NOTHING,
    calibrated,
    duration,
    flattered,
    interval,
    number,
    setting_name,
    share,
    verdict,
)

Json = Mapping[str, Any]

_SYSTEMS_AT_MOST = 10
_SHOWN = ("auc", "balanced_accuracy", "macro_f1")
_USUAL_BASELINE_S, _USUAL_CONTEXT_S = 60.0, 30.0
_COVERAGE = 0.8


def brief_of(card: Json, *, separator: str = " ") -> list[Section]:
    """The sections of the short form: a table a main setting, then a line for each other question.

    Parameters
    ----------
    card:
        See :func:`~.card_dict.build_card`.
    separator:
        Between a value and its interval: a newline makes narrow columns.

    """
    settings = main_settings(card)
    tables = [_systems(card, setting, separator) for setting in settings]
    out = [Section("systems", "Systems compared", tuple(tables), tuple(_left_out(card, settings)))]
    labels = tuple(label_claims(card))
    if labels:
        out.append(Section("label_efficiency", "How many labels are needed", (), labels))
    if card["baseline"]["rows"]:
        out.append(Section("baseline", "What a personal baseline is worth", (_baseline(card),), ()))
    if settings:
        out.append(Section("best", "The best of them", (), tuple(_best_lines(card, settings[-1]))))
    out.append(Section("caution", "Know before use", (), tuple(card["sentences"]["caution"])))
    return out


def summary_lines(card: Json) -> list[str]:
    """The lines under the title, the one about P values left out: none stand here."""
    about, *rest = summary_of(card)
    lines = [about, " ".join(rest).partition(" P values:")[0]]
    if card["reference"] is not None:
        lines.append(f"AUC difference: paired by people, minus {card['reference']}.")
    return lines


def main_settings(card: Json) -> list[Json]:
    """The settings that decide: a person unknown; with a baseline; with a baseline and context.

    Of the first honest protocol. Of several lengths the one most systems have, then the one nearest to a
    minute of baseline and half a minute of context.
    """
    honest = [one for one in card["settings"] if one["honest"]]
    ours = [one for one in honest if one["protocol"] == honest[0]["protocol"]]

    def usual(axis: str, preferred: float, others: Json) -> list[Json]:
        found = [one for one in ours if one[axis] > 0.0 and all(one[k] == v for k, v in others.items())]
        found.sort(key=lambda one: (-len(one["systems"]), abs(one[axis] - preferred)))
        return found[:1]

    plain = [one for one in ours if one["baseline_s"] == one["context_s"] == 0.0]
    baseline = usual("baseline_s", _USUAL_BASELINE_S, {"context_s": 0.0})
    with_s = baseline[0]["baseline_s"] if baseline else 0.0
    context = usual("context_s", _USUAL_CONTEXT_S, {"baseline_s": with_s})
    return [*plain, *baseline, *context] or ours[:3]


def best_of(setting: Json) -> Json:
    """The system of the highest AUC in a setting."""
    best: Json = max(setting["systems"], key=_auc)
    return best


def label_claims(card: Json) -> list[str]:
    """One sentence for each pair and setting: at which shares of labels the first does better."""
    groups: dict[tuple[str, ...], list[Json]] = {}
    for row in card["label_efficiency"]["differences"]:
        name = setting_name({**row["setting"], "label_fraction": 1.0})
        groups.setdefault((row["system"], row["against"], name), []).append(row)
    lines = []
    for (ours, theirs, name), rows in groups.items():
        rows = sorted(rows, key=lambda row: float(row["setting"]["label_fraction"]))
        told = "; ".join(
            f"{share(row['setting']['label_fraction'])} {interval(row['metrics']['auc'], 2, signed=True)} "
            f"{verdict(row['metrics']['auc'])}"
            for row in rows
        )
        lines.append(f"{ours} minus {theirs}, AUC by share of labels ({name}): {told}.")
    return lines


def _auc(system: Json) -> float:
    value = system["metrics"]["auc"]["value"]
    return -1.0 if value is None else float(value)


def _systems(card: Json, setting: Json, separator: str) -> Table:
    against = card["reference"]
    minus = {
        row["system"]: row["metrics"]["auc"] for row in setting["differences"] if row["against"] == against
    }
    rows = []
    for one in _kept(card, setting):
        cells = [interval(one["metrics"][name], separator=separator) for name in _SHOWN]
        if against is not None:
            difference = minus.get(one["system"])
            told = NOTHING if difference is None else interval(difference, signed=True, separator=separator)
            cells.append("the reference" if one["system"] == against else told)
        rows.append((one["system"], *cells))
    columns = ["system", *(METRIC_NAMES[name] for name in _SHOWN)]
    if against is not None:
        columns.append("AUC difference")
    first = setting["systems"][0]
    caption = f"{setting_name(setting)}; {first['people']} people, {first['windows']} windows"
    return Table(caption, tuple(columns), tuple(rows), setting["command"])


def _kept(card: Json, setting: Json) -> list[Json]:
    """The reference and the best of the others, in the order of the recipe."""
    systems = setting["systems"]
    ranked = sorted(systems, key=lambda one: (one["system"] != card["reference"], -_auc(one)))
    names = {one["system"] for one in ranked[:_SYSTEMS_AT_MOST]}
    return [one for one in systems if one["system"] in names]


def _left_out(card: Json, settings: list[Json]) -> list[str]:
    lines = []
    more = max((len(one["systems"]) - _SYSTEMS_AT_MOST for one in settings), default=0)
    if more > 0:
        lines.append(f"The {_SYSTEMS_AT_MOST} of highest AUC are shown; {more} more stand on the whole card.")
    protocols = dict.fromkeys(one["protocol"] for one in card["settings"] if one["honest"])
    others = [one for one in protocols if one not in {shown["protocol"] for shown in settings}]
    if others:
        lines.append(f"On the whole card only: {', '.join(others)}.")
    return lines


def _baseline(card: Json) -> Table:
    """AUC by seconds of baseline, of windows alone where there are such; a line a system."""
    curves = card["baseline"]["rows"]
    first = next(
        (row["setting"] for row in curves if row["setting"]["context_s"] == 0.0), curves[0]["setting"]
    )
    curves = [row for row in curves if row["setting"] == first]
    kept = sorted(curves, key=lambda row: (row["system"] != card["reference"], -_last(row)))
    names = {row["system"] for row in kept[:_SYSTEMS_AT_MOST]}
    curves = [row for row in curves if row["system"] in names]
    lengths = sorted({point["at"] for row in curves for point in row["points"]})
    rows = []
    for row in curves:
        at = {point["at"]: number(point["metrics"]["auc"]["value"]) for point in row["points"]}
        gain = row["points"][-1]["gain"]["auc"]
        rows.append((row["system"], *(at.get(s, NOTHING) for s in lengths), interval(gain, signed=True)))
    sizes = sorted({(row["people"], row["windows"]) for row in curves})
    told = " or ".join(f"{people} people, {windows} windows" for people, windows in sizes)
    return Table(
        f"AUC; {setting_name(first, without='baseline_s')}; {told}",
        ("system", *(duration(s) if s else "none" for s in lengths), "longest minus shortest"),
        tuple(rows),
        card["baseline"]["command"],
    )


def _last(curve: Json) -> float:
    value = curve["points"][-1]["metrics"]["auc"]["value"]
    return -1.0 if value is None else float(value)


def _best_lines(card: Json, setting: Json) -> list[str]:
    """Whether the confidence of the best system can be believed, and how much random windows flatter."""
    best = best_of(setting)["system"]
    lines = [calibrated(row) for row in _of(card["calibration"]["rows"], best, setting)]
    silent = share(round(1.0 - _COVERAGE, 2))
    for row in _of(card["coverage"]["rows"], best, setting):
        risk = {one["coverage"]: one for one in row["risk"]}
        lines.append(
            f"{best}: silent in the {silent} of windows of lowest confidence it errs in "
            f"{interval(risk[_COVERAGE])} of the others; always answering, in {interval(risk[1.0])}."
        )
    flattery = card["random_windows"]["rows"]
    if flattery:
        lines.append(flattered(max(flattery, key=lambda row: row["difference"]["value"] or 0.0)))
    return lines


def _of(rows: list[Json], system: str, setting: Json) -> list[Json]:
    keys = ("protocol", "baseline_s", "context_s")
    return [
        row for row in rows if row["system"] == system and all(row["setting"][k] == setting[k] for k in keys)
    ][:1]
