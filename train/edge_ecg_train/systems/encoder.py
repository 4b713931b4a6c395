"""A frozen encoder and a head: the system of Sarkar and Etemad, and every variant of it.

With a personal baseline the head sees by how much an embedding differs from the person's own at rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from edge_ecg.errors import UsageError
from edge_ecg.heads.mlp import MlpHead

from ..embeddings import EncoderName, task_embeddings
from ..evaluation.baseline import PersonalBaseline
from ..evaluation.data import TaskData
from ..heads import PRESETS, HeadConfig, fit_head
from ..recipe import make
from .base import FeatureSystem, FloatArray, Groups, Labels, personal


@dataclass(frozen=True, slots=True)
class FrozenEncoder(FeatureSystem):
    """An encoder's embeddings and a head on them.

    Attributes
    ----------
    encoder:
        As :func:`edge_ecg_train.embeddings.task_embeddings` takes it.
    head:
        Its seed is replaced by the evaluation's.

    """

    encoder: EncoderName
    head: HeadConfig = field(default_factory=HeadConfig)

    @property
    def name(self) -> str:
        """As printed."""
        return f"frozen encoder + {head_name(self.head)}"

    def config(self) -> dict[str, Any]:
        """Plain values; of the encoder not where it lies, for whoever files results knows its hash."""
        return {"kind": "encoder", "head": {**asdict(self.head), "seed": None}}

    def inputs(self, data: TaskData, baseline: PersonalBaseline | None) -> FloatArray:
        """Embeddings (n, d)."""
        return personal(task_embeddings(data, self.encoder), baseline)

    def fit(
        self, features: FloatArray, labels: Labels, groups: Groups, classes: int, seed: int, personal: bool
    ) -> MlpHead:
        """Fit the head."""
        return fit_head(features, labels, replace(self.head, seed=seed), classes=classes, groups=groups)


def head_name(head: HeadConfig) -> str:
    """Return a head's name as printed."""
    if head.kind != "mlp":
        return "linear head" if head.c == PRESETS[head.kind].c else f"linear head (C {head.c:g})"
    return f"MLP head ({', '.join(map(str, head.hidden))})"


def take_head(table: dict[str, Any], where: str, preset: str = "linear") -> HeadConfig:
    """Take ``head`` out of a table: fields of :class:`HeadConfig`, on top of a ``preset`` if it names one.

    Raises
    ------
    UsageError
        When the preset is unknown, a field makes no sense, or there is a rounding penalty.

    """
    entries = dict(table.pop("head", {}))
    preset = entries.pop("preset", preset)
    if preset not in PRESETS:
        raise UsageError(
            f"{where} names the unknown preset {preset!r}.", remedy=f"Use one of {', '.join(PRESETS)}."
        )
    head = make(HeadConfig, entries, where, PRESETS[preset])
    if head.rounding_penalty:
        raise UsageError(
            f"{where} has a rounding penalty, which needs the rounding error of the training windows alone.",
            remedy="Leave it out here, and name an encoder in int8 (bundled) to see what rounding costs.",
        )
    return head


def take_encoder(table: dict[str, Any], where: str) -> EncoderName:
    """Take ``encoder`` out of a table.

    Raises
    ------
    UsageError
        When there is none.

    """
    encoder: EncoderName | None = table.pop("encoder", None)
    if not isinstance(encoder, str | Mapping):
        raise UsageError(f"The system {where} lacks an encoder.", remedy="Add encoder: {run: PATH}.")
    return encoder


def from_table(table: Mapping[str, Any]) -> FrozenEncoder:
    """Make one from ``encoder`` and ``head``."""
    entries = dict(table)
    encoder, head = take_encoder(entries, "encoder"), take_head(entries, "encoder: head")
    return make(FrozenEncoder, entries, "encoder", FrozenEncoder(encoder, head))
