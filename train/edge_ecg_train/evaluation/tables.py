"""The evaluation card as headings, tables and sentences, for any form to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .comparison import METRICS
from .wording import (
    METRIC_NAMES,
    NOTHING,
    interval,
    number,
    p_value,
    setting_name,
    share,
    short_name,
    verdict,
)

Json = Mapping[str, Any]

_NAMED = 4
_ABREAST = 4
_SHORT_VERDICT = {"better": "yes", "worse": "no, worse", "not shown to be better": "not shown"}


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; ``command`` is what computed them."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    command: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, its tables, what can be said of them, and the key of its sentences and plots."""

    key: str
    heading: str
    tables: tuple[Table, ...]
    sentences: tuple[str, ...]


def sections_of(card: Json, *, separator: str = " ") -> list[Section]:
    """The card's sections, those without content left out.

    Parameters
    ----------
    card:
        See :func:`~.card_dict.build_card`.
    separator:
        Between a value and its interval: a newline makes narrow columns.

    """

    def cell(one: Json, *, signed: bool = False) -> str:
        return interval(one, signed=signed, separator=separator)

    honest = [one for one in card["settings"] if one["honest"]]
    tables = {
        "overview": _overview(honest, card["command"], cell) if len(honest) > 1 else [],
        "comparison": [table for one in honest for table in _comparison(one, cell)],
        "choices": [],
        "people": [_people(one, card["reference"]) for one in honest],
        "label_efficiency": _label_efficiency(card, cell),
        "baseline": _curve(card["baseline"], "seconds of baseline", cell),
        "context": _curve(card["context"], "seconds of context", cell),
        "calibration": _calibration(card["calibration"], cell),
        "coverage": _coverage(card["coverage"], cell),
        "random_windows": _random_windows(card["random_windows"], cell),
        "caution": [],
        "checks": [_checks(card)],
    }
    headings = {
        "overview": "AUC at a glance",
        "comparison": "Systems compared",
        "choices": "What was chosen inside the folds",
        "people": "Person by person",
        "label_efficiency": "How many labels are needed",
        "baseline": "What a personal baseline is worth",
        "context": "What context is worth",
        "calibration": "Whether the confidence can be believed",
        "coverage": "What is gained by staying silent",
        "random_windows": "How much the leak flatters",
        "caution": "Know before use",
        "checks": "Checks for leaks",
    }
    out = []
    for key, heading in headings.items():
        sentences = tuple(card["sentences"].get(key, ()))
        kept = tuple(table for table in tables[key] if table.rows)
        if kept or sentences:
            out.append(Section(key, heading, kept, sentences))
    return out


def summary_of(card: Json) -> list[str]:
    """The lines under the title: what, on whom, how."""
    protocol = card["protocol"]
    lines = [f"Task {card['task']}: {' / '.join(card['labels'])}. Research software, not a medical device."]
    majority = next((one["systems"][0] for one in card["settings"] if one["systems"]), None)
    if majority is not None:
        lines.append(
            f"{majority['people']} people, {majority['windows']} windows; the most frequent class is "
            f"{interval(majority['metrics']['majority_rate'])} of them."
        )
    windowing, preprocessing = card["store"].get("windowing", {}), card["store"].get("preprocessing", {})
    if "hop_s" in windowing:
        lines.append(f"One window of 10 s every {windowing['hop_s']:g} s.")
    if "normalisation" in preprocessing:
        lines.append(f"Normalisation: {preprocessing['normalisation']}.")
    lines.append(
        f"In brackets: {protocol['interval']} ({protocol['draws']} draws, seed {protocol['seed']}). "
        f"P values: {protocol['p']}."
    )
    return lines


def facts_of(card: Json) -> list[tuple[str, str]]:
    """Free facts of the run (machine, duration, ...) as names and texts."""
    out = []
    for name, value in card["facts"].items():
        if value in (None, "", [], {}):
            continue
        text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        if isinstance(value, Mapping):
            text = "; ".join(f"{key}: {one}" for key, one in value.items())
        out.append((name.replace("_", " "), text))
    return out


def sources_of(card: Json) -> list[str]:
    """Who is to be named: the data sets, their licences and citations."""
    return [
        " ".join(str(entry[name]) for name in ("title", "licence", "citation", "url") if entry.get(name))
        or str(entry["name"])
        for entry in card["store"].get("datasets", ())
    ]


def _overview(settings: list[Json], command: str, cell: Any) -> list[Table]:
    """AUC of every system under every setting, a table a protocol, as many columns as a terminal holds."""
    tables = []
    for protocol in dict.fromkeys(setting["protocol"] for setting in settings):
        of_protocol = [setting for setting in settings if setting["protocol"] == protocol]
        for start in range(0, len(of_protocol), _ABREAST):
            shown = of_protocol[start : start + _ABREAST]
            cells = [{one["system"]: cell(one["metrics"]["auc"]) for one in s["systems"]} for s in shown]
            names = dict.fromkeys(name for column in cells for name in column)
            rows = tuple((name, *(column.get(name, NOTHING) for column in cells)) for name in names)
            tables.append(Table(protocol, ("system", *map(short_name, shown)), rows, command))
    return tables


def _comparison(setting: Json, cell: Any) -> list[Table]:
    name = setting_name(setting)
    sizes = {(one["people"], one["windows"]) for one in setting["systems"]}
    shared = len(sizes) == 1
    first = setting["systems"][0]
    people = (
        f"; {first['people']} people, {first['windows']} windows, "
        f"majority rate {interval(first['metrics']['majority_rate'])}"
    )
    columns = ("system", *(() if shared else ("people, windows",)), *(METRIC_NAMES[m] for m in METRICS))
    metrics = Table(
        name + (people if shared else ""),
        columns,
        tuple(
            (
                one["system"],
                *(() if shared else (f"{one['people']}, {one['windows']}",)),
                *(cell(one["metrics"][metric]) for metric in METRICS),
            )
            for one in setting["systems"]
        ),
        setting["command"],
    )
    return [metrics, *(_differences(setting, against, cell) for against in _against(setting))]


def _against(setting: Json) -> list[str]:
    return list(dict.fromkeys(row["against"] for row in setting["differences"]))


def _differences(setting: Json, against: str, cell: Any) -> Table:
    rows = [row for row in setting["differences"] if row["against"] == against]
    return Table(
        f"minus {against}, paired; {setting_name(setting)}",
        ("system", "AUC", "p", "p (Holm)", "balanced accuracy", "people + / - / =", "better?"),
        tuple(
            (
                row["system"],
                cell(row["metrics"]["auc"], signed=True),
                p_value(row["metrics"]["auc"]["p"]),
                p_value(row["metrics"]["auc"]["p_holm"]),
                cell(row["metrics"]["balanced_accuracy"], signed=True),
                "{better} / {worse} / {equal}".format(**row["people_test"]),
                _SHORT_VERDICT[verdict(row["metrics"]["auc"])],
            )
            for row in rows
        ),
        setting["command"],
    )


def _checks(card: Json) -> Table:
    rows = tuple(
        (one["check"], "holds" if one["passed"] else "DOES NOT HOLD", one["detail"])
        for one in card["leaks"]["findings"]
    )
    return Table("what must hold of every split and system", ("check", "", "detail"), rows, card["command"])


def _people(setting: Json, reference: str | None) -> Table:
    worse = {row["system"]: row["worse_for"] for row in setting["differences"] if row["against"] == reference}
    rows = []
    for one in setting["systems"]:
        auc, balanced = (
            "{} to {} ({} to {})".format(
                *(number(one["spread"][metric][name], 2) for name in ("min", "max", "q25", "q75"))
            )
            for metric in ("auc", "balanced_accuracy")
        )
        lost = worse.get(one["system"])
        rows.append(
            (
                one["system"],
                auc,
                balanced,
                _names(one["below_majority"]),
                NOTHING if lost is None else _names(lost),
            )
        )
    columns = (
        "system", "AUC", "balanced accuracy", "less accurate than the majority rate",
        "worse than the reference",
    )  # fmt: skip
    return Table(
        f"each person alone: all people (middle half); {setting_name(setting)}",
        columns,
        tuple(rows),
        str(setting["command"]),
    )


def _names(people: list[Json]) -> str:
    named = ", ".join(str(one["person"]).rpartition("/")[2] for one in people[:_NAMED])
    return f"{len(people)}: {named}{', ...' if len(people) > _NAMED else ''}" if people else "0"


def _label_efficiency(card: Json, cell: Any) -> list[Table]:
    part = card["label_efficiency"]
    tables = []
    for setting in _settings(part["rows"]):
        curves = [row for row in part["rows"] if row["setting"] == setting]
        fractions = sorted({point["at"] for row in curves for point in row["points"]})
        rows = []
        for row in curves:
            at = {point["at"]: point["metrics"]["auc"] for point in row["points"]}
            rows.append((row["system"], *(cell(at[f]) if f in at else NOTHING for f in fractions)))
        caption = f"AUC by share of labels; {setting_name(setting)}; {_size(curves)}"
        columns = ("system", *(share(f) for f in fractions))
        tables.append(Table(caption, columns, tuple(rows), part["command"]))
    rows = [
        (
            row["system"],
            row["against"],
            share(row["setting"]["label_fraction"]),
            cell(row["metrics"]["auc"], signed=True),
            p_value(row["metrics"]["auc"]["p"]),
            _SHORT_VERDICT[verdict(row["metrics"]["auc"])],
        )
        for row in part["differences"]
    ]
    columns = ("system", "minus", "labels", "AUC", "p", "better?")
    tables.append(
        Table("paired differences at the same share of labels", columns, tuple(rows), part["command"])
    )
    return tables


def _curve(part: Json, axis: str, cell: Any) -> list[Table]:
    tables = []
    for setting in _settings(part["rows"]):
        curves = [row for row in part["rows"] if row["setting"] == setting]
        rows = [
            (
                row["system"] if place == 0 else "",
                f"{point['at']:g}",
                cell(point["metrics"]["auc"]),
                NOTHING if place == 0 else cell(point["gain"]["auc"], signed=True),
                NOTHING if place == 0 else p_value(point["gain"]["auc"]["p"]),
            )
            for row in curves
            for place, point in enumerate(row["points"])
        ]
        name = setting_name(setting, without=curves[0]["axis"])
        caption = f"AUC by {axis}; {name}; {_size(curves)}"
        columns = ("system", axis, "AUC", "gain over the first", "p")
        tables.append(Table(caption, columns, tuple(rows), part["command"]))
    return tables


def _calibration(part: Json, cell: Any) -> list[Table]:
    return [
        Table(
            f"expected calibration error; {setting_name(setting)}",
            ("system", "ECE before", "ECE after temperature", "change", "p", "temperature"),
            tuple(
                (
                    row["system"],
                    cell(row["before"]),
                    cell(row["after"]),
                    cell(row["change"], signed=True),
                    p_value(row["change"]["p"]),
                    "{median:.2f} ({min:.2f} to {max:.2f})".format(**row["temperature"]),
                )
                for row in part["rows"]
                if row["setting"] == setting
            ),
            part["command"],
        )
        for setting in _settings(part["rows"])
    ]


def _coverage(part: Json, cell: Any) -> list[Table]:
    shown = (0.5, 0.8, 1.0)
    tables = []
    for setting in _settings(part["rows"]):
        rows = []
        for row in part["rows"]:
            if row["setting"] == setting:
                risk = {one["coverage"]: one for one in row["risk"]}
                rows.append((row["system"], cell(row["aurc"]), *(cell(risk[at]) for at in shown)))
        columns = ("system", "AURC", *(f"errors at {share(at)}" for at in shown))
        caption = f"share of errors among the most confident windows; {setting_name(setting)}"
        tables.append(Table(caption, columns, tuple(rows), part["command"]))
    return tables


def _random_windows(part: Json, cell: Any) -> list[Table]:
    columns = ("system", "honest AUC", "AUC with random windows", "flatters by")
    tables = []
    for honest in dict.fromkeys(row["honest_protocol"] for row in part["rows"]):
        rows = tuple(
            (row["system"], cell(row["honest"]), cell(row["random"]), cell(row["difference"], signed=True))
            for row in part["rows"]
            if row["honest_protocol"] == honest
        )
        caption = f"{honest} beside random windows, with the same person on both sides of the split"
        tables.append(Table(caption, columns, rows, part["command"]))
    return tables


def _settings(rows: Any) -> list[Json]:
    out: list[Json] = []
    for row in rows:
        if row["setting"] not in out:
            out.append(row["setting"])
    return out


def _size(rows: list[Any]) -> str:
    sizes = sorted({(row["people"], row["windows"]) for row in rows})
    return " or ".join(f"{people} people, {windows} windows" for people, windows in sizes)
