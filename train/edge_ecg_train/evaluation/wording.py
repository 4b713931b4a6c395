"""The sentences of the evaluation card: what a number allows to be said, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .arms import RANDOM_WINDOWS

METRIC_NAMES = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "f1_sarkar": "F1 (Sarkar)",
    "accuracy": "accuracy",
    "majority_rate": "majority rate",
}
NOTHING = "–"
NAMED_AT_MOST = 6

Json = Mapping[str, Any]


def number(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """A number, or a dash where there is none."""
    if value is None:
        return NOTHING
    # The second term turns -0.0 into 0.0.
    return f"{round(value, digits) + 0.0:{'+' if signed else ''}.{digits}f}"


def interval(one: Json, digits: int = 3, *, signed: bool = False, separator: str = " ") -> str:
    """``0.950 [0.920, 0.970]``."""
    value, low, high = (number(one[name], digits, signed=signed) for name in ("value", "low", "high"))
    return f"{value}{separator}[{low}, {high}]"


def p_value(p: float | None) -> str:
    """A p value, as ``0.03``; below 0.001 no digits are pretended."""
    if p is None:
        return NOTHING
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p_clause(p: float | None) -> str:
    """``p = 0.03`` or ``p < 0.001``."""
    text = p_value(p)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def duration(seconds: float) -> str:
    """``60 s``, ``2 min``."""
    return f"{seconds / 60:g} min" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g} s"


def share(fraction: float) -> str:
    """``10 %``."""
    return f"{100 * fraction:g} %"


def setting_name(setting: Json, *, without: str = "") -> str:
    """``leave-one-subject-out, 60 s of personal baseline, 30 s of context``, but for the axis ``without``."""
    words = [str(setting["protocol"])]
    if setting["protocol"] == RANDOM_WINDOWS:
        words[0] += " (leaks)"
    baseline, context = setting["baseline_s"], setting["context_s"]
    if without != "baseline_s":
        words.append(f"{duration(baseline)} of personal baseline" if baseline else "no personal baseline")
    if without != "context_s":
        words.append(f"{duration(context)} of context" if context else "one window a decision")
    if setting["label_fraction"] != 1.0:
        words.append(f"{share(setting['label_fraction'])} of the labels")
    return ", ".join(words)


def short_name(setting: Json) -> str:
    """``60 s baseline, 30 s context``: for the head of a column."""
    baseline, context = setting["baseline_s"], setting["context_s"]
    words = [f"{duration(baseline)} baseline" if baseline else "no baseline"]
    if context:
        words.append(f"{duration(context)} context")
    return ", ".join(words)


def verdict(difference: Json) -> str:
    """What a paired interval allows to say of ours against theirs: better, worse, or not shown."""
    low, high = difference["low"], difference["high"]
    if low is not None and high is not None and low > 0.0:
        return "better"
    if low is not None and high is not None and high < 0.0:
        return "worse"
    return "not shown to be better"


def compared(entry: Json) -> str:
    """A sentence on one comparison of two systems."""
    auc, test = entry["metrics"]["auc"], entry["people_test"]
    sentence = (
        f"{entry['system']} is {verdict(auc)} than {entry['against']} ({setting_name(entry['setting'])}): "
        f"AUC {interval(auc, signed=True)}, {p_clause(auc['p'])}, {entry['people']} people, "
        f"{entry['windows']} windows."
    )
    counted = test["better"] + test["worse"] + test["equal"]
    if counted:
        sentence += (
            f" Person by person ({METRIC_NAMES[test['metric']]}) it is better for {test['better']}, "
            f"worse for {test['worse']} and equal for {test['equal']} of {counted} "
            f"(Wilcoxon {p_clause(test['p'])})."
        )
    return sentence


def lost_people(entry: Json) -> str | None:
    """For whom a system is worse than another, the largest loss first; None when for nobody."""
    worse = entry["worse_for"]
    if not worse:
        return None
    named = [f"{one['person']} ({number(one['difference'], signed=True)})" for one in worse]
    return (
        f"{entry['system']} is worse than {entry['against']} for {len(worse)} "
        f"{'person' if len(worse) == 1 else 'people'} ({setting_name(entry['setting'])}): {some(named)}."
    )


def below_majority(entry: Json, setting: Json) -> str | None:
    """For whom always naming the most frequent class would have been more accurate; None when for nobody."""
    below = entry["below_majority"]
    if not below:
        return None
    named = [
        f"{one['person']} ({number(one['accuracy'], 2)} against {number(one['majority_rate'], 2)})"
        for one in below
    ]
    return (
        f"{entry['system']} is less accurate than always naming the most frequent class for {len(below)} of "
        f"{entry['people']} people ({setting_name(setting)}): {some(named)}."
    )


def chosen(entry: Json, setting: Json) -> str:
    """What a system chose inside its folds, most frequent first."""
    total = sum(entry["chosen"].values())
    counted = [f"{name} in {count}" for name, count in entry["chosen"].items()]
    return f"{entry['system']} ({setting_name(setting)}) chose, of {total} folds: {some(counted)}."


def some(names: Sequence[str]) -> str:
    """A list of names, the rest counted."""
    shown = ", ".join(names[:NAMED_AT_MOST])
    rest = len(names) - NAMED_AT_MOST
    return f"{shown} and {rest} more" if rest > 0 else shown


def fraction_claim(entry: Json) -> str:
    """Whether the first system does at least as well as the second with the same share of labels."""
    auc = entry["metrics"]["auc"]
    at = share(entry["setting"]["label_fraction"])
    holds = {
        "better": "holds here, by a margin whose interval excludes zero",
        "worse": "does not hold here: it is worse",
        "not shown to be better": "does not hold here: it is not shown to be better",
    }[verdict(auc)]
    return (
        f"The claim that {entry['system']} with {at} of the labels does at least as well as "
        f"{entry['against']} with {at} {holds} (AUC {interval(auc, signed=True)}, {p_clause(auc['p'])}; "
        f"{setting_name(entry['setting'])}; {entry['people']} people, {entry['windows']} windows)."
    )


def flattered(entry: Json) -> str:
    """By how much the random-window split flatters."""
    return (
        f"{entry['system']}: AUC {interval(entry['random'])} with random windows, where the same person and "
        f"overlapping windows stand on both sides, against {interval(entry['honest'])} with "
        f"{entry['honest_protocol']}: the leak flatters by {interval(entry['difference'], signed=True)}."
    )


def calibrated(entry: Json) -> str:
    """What a temperature does to the calibration."""
    change = entry["change"]
    low, high = change["low"], change["high"]
    if low is not None and high is not None and high < 0.0:
        said = "a temperature mends it"
    elif low is not None and high is not None and low > 0.0:
        said = "a temperature makes it worse"
    else:
        said = "a temperature is not shown to change it"
    return (
        f"{entry['system']} ({setting_name(entry['setting'])}): expected calibration error "
        f"{interval(entry['before'])}, with a temperature from the other people (median "
        f"{entry['temperature']['median']:.2f}) {interval(entry['after'])}; {said} "
        f"({interval(change, signed=True)}, {p_clause(change['p'])})."
    )


def gained(curve: Json) -> str:
    """What the longest baseline or context adds over the shortest."""
    what = "personal baseline" if curve["axis"] == "baseline_s" else "context"
    first, last = curve["points"][0], curve["points"][-1]
    auc = last["gain"]["auc"]
    said = {
        "better": "lifts the AUC",
        "worse": "lowers the AUC",
        "not shown to be better": "is not shown to lift the AUC",
    }
    start = duration(first["at"]) if first["at"] else "none"
    return (
        f"{curve['system']}: {duration(last['at'])} of {what} instead of {start} {said[verdict(auc)]} "
        f"({interval(auc, signed=True)}, {p_clause(auc['p'])}; "
        f"{setting_name(curve['setting'], without=curve['axis'])}; "
        f"the same {curve['windows']} windows of {curve['people']} people)."
    )


def looks(count: int, systems: int) -> str:
    """The warning that the best of many is not as good as it looks."""
    return (
        f"{count} results of {systems} systems stand on this card. The best of many is partly the luckiest: "
        "on new people it is expected to lose some of its lead (winner's curse). Prefer the simpler system "
        "where the paired interval includes zero."
    )


def leak_lines(leaks: Json) -> list[str]:
    """The lines on top of the card: failed checks first and loud."""
    failed = [one for one in leaks["findings"] if not one["passed"]]
    lines = [f"LEAK: it does not hold that {one['check']}: {one['detail']}" for one in failed]
    if failed:
        lines.append(
            "These numbers are not to be trusted: something of the tested people had reached the systems."
        )
    elif leaks["findings"]:
        count = len(leaks["findings"])
        lines.append(f"No leak found by {count} {'check' if count == 1 else 'checks'}.")
    else:
        lines.append("No leak check was made.")
    return lines
