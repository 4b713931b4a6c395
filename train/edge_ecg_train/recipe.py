"""Recipes: one readable TOML file that says all that a training is made of.

    [pretext]               PretextConfig (versions = "all" is 7); [pretext.transforms] is TransformConfig
    [masked]                MaskedConfig, instead of [pretext]: masked pretraining of a Transformer
    [transformer]           TransformerConfig, and preset = "full" | "lite": the network of [masked]
    [finetune]              FinetuneConfig: how that network is trained on with labels
    [supervised]            SupervisedConfig
    [emotion]               the head of every task: HeadConfig, and preset = "linear" | "mlp" | ...
    [emotion.tasks.TASK]    what is different for one task

A key that is unknown is refused, with the known one that looks most like it; so is a value out of its range.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from edge_ecg.errors import UsageError
from edge_ecg.heads.intervals import INTERVAL_FEATURES
from edge_ecg.heads.personal import PERSONAL_FEATURES

from .heads import PRESETS, HeadConfig
from .networks import WINDOW_SAMPLES
from .pretext import PretextConfig
from .supervised import SupervisedConfig
from .transformer.finetune import FinetuneConfig
from .transformer.masked import MaskedConfig
from .transformer.network import FULL, TransformerConfig
from .transformer.network import PRESETS as TRANSFORMERS
from .transforms import VERSIONS

_PLACES = (Path(__file__).parent / "recipes", Path(__file__).parents[1] / "recipes")
BUILT_IN = next((place for place in _PLACES if (place / "quick.toml").is_file()), _PLACES[0])
"""Inside the package when installed, beside it in a checkout."""

T = TypeVar("T")

_Limit = tuple[Callable[[float], bool], str]
_FROM_ONE: _Limit = (lambda value: value >= 1, "1 or more")
_NONE_OR_MORE: _Limit = (lambda value: value >= 0, "0 or more")
_ABOVE_NONE: _Limit = (lambda value: value > 0, "above 0")
_SHARE: _Limit = (lambda value: 0 <= value <= 1, "from 0 to 1")
_PIECES: _Limit = (lambda value: 1 <= value <= WINDOW_SAMPLES, f"from 1 to {WINDOW_SAMPLES}")

_LIMITS: Mapping[str, _Limit] = {
    "learning_rate": _ABOVE_NONE, "lr_factor": _ABOVE_NONE,
    "lr_every": _FROM_ONE, "lr_every_epochs": _FROM_ONE,
    "cooldown_steps": _NONE_OR_MORE, "l2": _NONE_OR_MORE, "weight_decay": _NONE_OR_MORE,
    "dropout": (lambda value: 0 <= value < 1, "0 or more and below 1"),
    "seed": (lambda value: 0 <= value < 2**63, "0 or more and below 2 to the 63rd"),
    "seeds": (lambda value: 0 <= value < 2**63, "0 or more and below 2 to the 63rd"),
    "evaluation_windows": _NONE_OR_MORE, "evaluate_every": _NONE_OR_MORE, "keep_steps": _FROM_ONE,
    "hidden": _FROM_ONE, "head_hidden": _FROM_ONE, "epochs": _FROM_ONE, "batch": _FROM_ONE,
    "block": _FROM_ONE, "buffer": _FROM_ONE,
    "noise_probability": _SHARE, "swap_probability": _SHARE,
    "permute_pieces": _PIECES, "warp_pieces": _PIECES, "warp_stretch": _FROM_ONE, "spread": _FROM_ONE,
    "c": _ABOVE_NONE, "c_plain": _ABOVE_NONE, "c_intervals": _ABOVE_NONE,
    "rounding_penalty": _NONE_OR_MORE, "baseline_s": _NONE_OR_MORE, "context_s": _NONE_OR_MORE,
}  # fmt: skip
"""What a key's numbers may be, whichever table it stands in; what hangs on several keys the stages check."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe that has been read and checked.

    Parameters
    ----------
    name:
        Of the file.
    pretext:
        The first stage, by transformations (PretextConfig) or by masked samples (MaskedConfig), if any.
    supervised, finetune:
        Their stages, where the recipe has them.
    transformer:
        The form of a Transformer, where the recipe has one.
    head:
        The head of a task without an entry of its own.
    tasks:
        The tasks with one.

    """

    name: str
    pretext: PretextConfig | MaskedConfig | None = None
    supervised: SupervisedConfig | None = None
    head: HeadConfig = field(default_factory=HeadConfig)
    tasks: Mapping[str, HeadConfig] = field(default_factory=dict)
    transformer: TransformerConfig | None = None
    finetune: FinetuneConfig | None = None

    def head_of(self, task: str) -> HeadConfig:
        """Return the head of a task."""
        return self.tasks.get(task, self.head)


def built_in_recipes() -> dict[str, Path]:
    """Return the recipes that come with edge-ecg, by name."""
    return {path.stem: path for path in sorted(BUILT_IN.glob("*.toml"))}


def load_recipe(name: str) -> Recipe:
    """Read a recipe by the name of a built-in one, or by the path of a file.

    Raises
    ------
    UsageError
        If there is none, it is no TOML, or it holds a key or a value that makes no sense.

    """
    known = built_in_recipes()
    path = known.get(name, Path(name))
    if path.suffix == ".yaml" or (name not in known and (BUILT_IN / f"{name}.yaml").is_file()):
        raise UsageError(
            f"There is no recipe {name!r} of a training.",
            why="It is one of an evaluation.",
            remedy=f"Use edge-ecg evaluate --recipe {name}, or here one of {', '.join(known)}.",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"The recipe {path} is not TOML.", why=f"{error}.") from error
    except OSError as error:
        if path.exists():
            raise UsageError(f"The recipe {path} cannot be read.", why=f"{error.strerror}.") from error
        raise UsageError(
            f"There is no recipe {name!r}.",
            why=f"It is neither a file nor one of {', '.join(known)}.",
            remedy=f"Use --recipe {difflib.get_close_matches(name, known, 1, 0)[0]}."
            if known
            else "Give the path of a TOML file.",
        ) from error
    try:
        return parse_recipe(tomllib.loads(text), path.stem)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The recipe {path} is not TOML.", why=str(error)) from error


def parse_recipe(table: Mapping[str, Any], name: str) -> Recipe:
    """Make a recipe of a table.

    Raises
    ------
    UsageError
        If a key is unknown or a value has the wrong type.

    """
    _refuse_unknown(table, {"pretext", "masked", "transformer", "finetune", "supervised", "emotion"}, name)
    emotion = dict(_table(table.get("emotion", {}), f"{name}: [emotion]"))
    tasks = _table(emotion.pop("tasks", {}), f"{name}: [emotion.tasks]")
    head = _head(emotion, HeadConfig(), f"{name}: [emotion]")
    pretext: PretextConfig | MaskedConfig | None = None
    supervised = transformer = finetune = None
    if "pretext" in table and "masked" in table:
        raise UsageError(
            f"{name} has both [pretext] and [masked].",
            why="They are two kinds of the first stage; a run has one.",
            remedy="Make two recipes of it.",
        )
    if "transformer" in table:
        transformer = _transformer(table["transformer"], f"{name}: [transformer]")
    if "masked" in table:
        entries = dict(_table(table["masked"], f"{name}: [masked]"))
        if "network" in entries:
            raise UsageError(
                f"{name}: [masked] cannot say what the network is.", remedy="Put it in [transformer]."
            )
        pretext = make(MaskedConfig, entries, f"{name}: [masked]")
        pretext = dataclasses.replace(pretext, network=transformer or FULL)
    if "finetune" in table:
        finetune = make(FinetuneConfig, table["finetune"], f"{name}: [finetune]")
    if "pretext" in table:
        entries = dict(_table(table["pretext"], f"{name}: [pretext]"))
        if entries.get("versions") == "all":
            entries["versions"] = len(VERSIONS)
        pretext = make(PretextConfig, entries, f"{name}: [pretext]")
    if "supervised" in table:
        supervised = make(SupervisedConfig, table["supervised"], f"{name}: [supervised]")
    heads = {task: _head(entries, head, f"{name}: [emotion.tasks.{task}]") for task, entries in tasks.items()}
    return Recipe(name, pretext, supervised, head, heads, transformer, finetune)


def make(kind: type[T], table: Any, where: str, base: T | None = None) -> T:
    """Make a config dataclass of a table: every key a field, every value of the field's type.

    Parameters
    ----------
    kind:
        The dataclass.
    table:
        The keys and values.
    where:
        What to call the table in an error.
    base:
        Holds the values of the keys that are not in the table; the dataclass's defaults if None.

    Raises
    ------
    UsageError
        If a key is unknown or missing, or a value has the wrong type or is out of its range.

    """
    table = _table(table, where)
    hints = get_type_hints(kind)
    _refuse_unknown(table, set(hints), where)
    values = {key: _convert(value, hints[key], f"{where} {key}") for key, value in table.items()}
    for key, value in values.items():
        _refuse_out_of_range(key, value, f"{where} {key}")
    if base is not None:
        return dataclasses.replace(base, **values)  # type: ignore[type-var]
    required = [
        one.name
        for one in dataclasses.fields(kind)  # type: ignore[arg-type]
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]
    missing = [key for key in required if key not in values]
    if missing:
        raise UsageError(f"{where} lacks {', '.join(missing)}.", remedy="Add it to the recipe.")
    return kind(**values)


def _head(table: Any, base: HeadConfig, where: str) -> HeadConfig:
    entries = dict(_table(table, where))
    head = make(HeadConfig, entries, where, _preset(entries, PRESETS, base, where))
    _refuse_other_names(head.intervals, INTERVAL_FEATURES, f"{where} intervals")
    _refuse_other_names(head.personal, PERSONAL_FEATURES, f"{where} personal")
    return head


def _refuse_other_names(names: tuple[str, ...], known: tuple[str, ...], where: str) -> None:
    for name in names or ("",):
        if name not in known:
            raise UsageError(
                f"{where} names the unknown feature {name!r}." if name else f"{where} names no feature.",
                why=f"There are {', '.join(known)}.",
                remedy="Name one of them, or leave the key out.",
            )


def _transformer(table: Any, where: str) -> TransformerConfig:
    entries = dict(_table(table, where))
    return make(TransformerConfig, entries, where, _preset(entries, TRANSFORMERS, FULL, where))


def _preset(entries: dict[str, Any], presets: Mapping[str, T], base: T, where: str) -> T:
    """Take ``preset`` out of a table and return what it names, ``base`` if it is not there."""
    preset = entries.pop("preset", None)
    if preset is None:
        return base
    if not isinstance(preset, str) or preset not in presets:
        raise UsageError(
            f"{where} names the unknown preset {preset!r}.", remedy=_suggest(str(preset), presets)
        )
    return presets[preset]


def _convert(value: Any, hint: Any, where: str) -> Any:
    origin = get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return make(hint, value, where)
    if origin is Literal:
        if value not in get_args(hint):
            raise UsageError(
                f"{where} cannot be {value!r}.", remedy=f"Use {' or '.join(map(repr, get_args(hint)))}."
            )
        return value
    if origin is tuple:
        if isinstance(value, list):
            return tuple(_convert(one, get_args(hint)[0], where) for one in value)
    elif origin is types.UnionType:
        if value is None and type(None) in get_args(hint):
            return None
        for one in get_args(hint):
            if one is not type(None):
                return _convert(value, one, where)
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif type(value) is hint:
        return value
    raise UsageError(
        f"{where} cannot be {value!r}.",
        why=f"It must be of the type {getattr(hint, '__name__', hint)}.",
        remedy="Correct it in the recipe.",
    )


def _refuse_out_of_range(key: str, value: Any, where: str) -> None:
    """Refuse infinities, what is not a number, and what the table of limits does not allow."""
    allowed, words = _LIMITS.get(key, (math.isfinite, "a finite number"))
    for one in value if isinstance(value, tuple) else (value,):
        if type(one) in (int, float) and not (math.isfinite(one) and allowed(one)):
            raise UsageError(
                f"{where} cannot be {one!r}.", why=f"It must be {words}.", remedy="Correct it in the recipe."
            )


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} must be a table, not {value!r}.")
    return value


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where} has the unknown key {key!r}.", remedy=_suggest(key, known))


def _suggest(word: str, known: Mapping[str, Any] | set[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), 1, 0.5)
    return f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(sorted(known))}."
