"""The card that a bundle carries: the main numbers of an evaluation, small enough to travel along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .evaluation.wording import (
    METRIC_NAMES,
    interval,
    leak_lines,
    p_clause,
    setting_name,
    verdict,
)

SCHEMA = 2
METRICS = ("auc", "balanced_accuracy", "macro_f1", "f1_sarkar")

_SETTING = ("protocol", "baseline_s", "context_s")
_SOURCE = ("name", "title", "licence", "citation", "url")
_LEAKS_TOLD = 4

Json = Mapping[str, Any]


def compact(card: Json, system: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Reduce an evaluation card to what a bundle carries of it.

    Parameters
    ----------
    card:
        See :func:`~.evaluation.card_dict.build_card`.
    system:
        Which of its systems is the model.
    notes:
        Sentences that a reader must know, beside those of the card.

    """
    first = card["settings"][0]["systems"][0]
    store, leaks = card["store"], card["leaks"]["findings"]
    failed = [one for one in leaks if not one["passed"]]
    return {
        "schema": SCHEMA,
        "title": card["title"],
        "task": card["task"],
        "labels": list(card["labels"]),
        "people": first["people"],
        "windows": first["windows"],
        "majority_rate": first["metrics"]["majority_rate"],
        "protocol": {
            "window_s": 10.0,
            "hop_s": store.get("windowing", {}).get("hop_s"),
            "normalisation": store.get("preprocessing", {}).get("normalisation"),
            "preprocessing_hash": store.get("preprocessing_hash"),
            "interval": card["protocol"]["interval"],
        },
        "system": system,
        "rows": [
            {
                "system": one["system"],
                **{key: setting[key] for key in _SETTING},
                "people": one["people"],
                "windows": one["windows"],
                "metrics": {name: one["metrics"][name] for name in METRICS},
            }
            for setting in card["settings"]
            for one in setting["systems"]
        ],
        "reference": card["reference"],
        "differences": [
            {
                "system": one["system"],
                "against": one["against"],
                **{key: setting[key] for key in _SETTING},
                "auc": one["metrics"]["auc"],
                "people": {key: one["people_test"][key] for key in ("better", "worse", "equal")},
            }
            for setting in card["settings"]
            for one in setting["differences"]
        ],
        "trustworthy": card["trustworthy"],
        "leaks": {
            "checks": len(leaks),
            "failed": len(failed),
            "found": [{"check": one["check"], "detail": one["detail"]} for one in failed[:_LEAKS_TOLD]],
        },
        "notes": [*card["sentences"]["caution"], *notes],
        "datasets": [
            {key: one[key] for key in _SOURCE if key in one}
            for one in store.get("datasets", ())
            if one.get("windows", 1)
        ],
        "draws": card["protocol"]["draws"],
        "seed": card["protocol"]["seed"],
        "command": card["command"],
    }


def kept_tasks(facts: Json) -> dict[str, Json]:
    """Return the compact cards that a run.json holds, by task; those of older schemata are left out."""
    tasks = facts.get("card", {}).get("tasks", {})
    return {name: one for name, one in tasks.items() if one.get("schema") == SCHEMA}


def markdown(name: str, cards: Sequence[Json], pretrained_on: Sequence[Json | str] | None) -> str:
    """CARD.md: the compact cards of all tasks of one model.

    Parameters
    ----------
    name:
        Of the model.
    cards:
        See :func:`compact`.
    pretrained_on:
        The data sets that the encoder was pretrained on, each with its name and, for attribution, title,
        licence, citation and url; None when the run does not say.

    """
    lines = [f"# {name}", "", "Research software, not a medical device.", ""]
    for card in cards:
        lines += _task(card)
    lines += ["## Encoder", ""]
    if pretrained_on is None:
        lines.append("What it was pretrained on is not recorded.")
    else:
        lines += ["Pretrained, without labels, on:", "", *map(_attribution, pretrained_on)]
    return "\n".join([*lines, ""])


def _task(card: Json) -> list[str]:
    protocol = card["protocol"]
    lines = [f"## {card['task']}: {' / '.join(card['labels'])}", ""]
    lines += [f"> {'**' * loud}{line}{'**' * loud}" for line, loud in _leaks(card)]
    lines += [
        "",
        f"{card['people']} people, {card['windows']} windows of {protocol['window_s']:g} s, one every "
        f"{protocol['hop_s']:g} s; the most frequent class is {interval(card['majority_rate'])} of them. "
        f"Normalisation: {protocol['normalisation']}. In brackets: {protocol['interval']} "
        f"({card['draws']} draws).",
        "",
    ]
    for setting in _settings(card["rows"]):
        rows = [one for one in card["rows"] if _setting(one) == setting]
        lines += [
            f"**{_name(rows[0])}**; {rows[0]['people']} people, {rows[0]['windows']} windows",
            "",
            "| system | " + " | ".join(METRIC_NAMES[name] for name in METRICS) + " |",
            "|---" * (1 + len(METRICS)) + "|",
        ]
        for one in rows:
            cells = [one["system"], *(interval(one["metrics"][name]) for name in METRICS)]
            lines.append("| " + " | ".join(cells) + " |")
        said = [_difference(one) for one in card["differences"] if _setting(one) == setting]
        lines += ["", *said, *([""] if said else [])]
    lines += ["Know before use:", "", *(f"- {line}" for line in card["notes"])]
    lines += ["", "Measured on:", "", *map(_attribution, card["datasets"])]
    return [*lines, "", f"Made by `{card['command']}`.", ""]


def _leaks(card: Json) -> list[tuple[str, bool]]:
    """The lines on top, and whether each is an alarm; the same words as on the whole card."""
    leaks = card["leaks"]
    passed = leaks["checks"] - leaks["failed"]
    findings = [{**one, "passed": False} for one in leaks["found"]] + [{"passed": True}] * passed
    loud = card["trustworthy"] is False
    lines = [(line, loud) for line in leak_lines({"findings": findings})]
    return [part for line in lines for part in (line, ("", False))][:-1]


def _setting(row: Json) -> tuple[Any, ...]:
    return tuple(row[key] for key in _SETTING)


def _settings(rows: Sequence[Json]) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(map(_setting, rows)))


def _name(row: Json) -> str:
    return setting_name({**{key: row[key] for key in _SETTING}, "label_fraction": 1.0})


def _difference(one: Json) -> str:
    people = one["people"]
    return (
        f"- {one['system']} is {verdict(one['auc'])} than {one['against']}: AUC "
        f"{interval(one['auc'], signed=True)}, {p_clause(one['auc']['p'])}; better for {people['better']}, "
        f"worse for {people['worse']}, equal for {people['equal']} people."
    )


def _attribution(source: Json | str) -> str:
    """One line of a list: who is to be named."""
    if isinstance(source, str):
        return f"- {source}"
    if "title" not in source:
        return f"- {source['name']}"
    rest = " ".join(str(source[key]) for key in ("citation", "url") if key in source)
    licence = f" ({source['licence']})" if "licence" in source else ""
    return f"- {source['title']}{licence}. {rest}".rstrip()
