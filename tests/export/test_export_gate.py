"""The gate: it lets a healthy export pass, stops a ruined one and names the layer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from edge_ecg.errors import GateError
from edge_ecg.heads import MlpHead
from edge_ecg_export.build import ExportSettings, export_run
from edge_ecg_export.calibrate import Calibration
from edge_ecg_export.fidelity import LayerFidelity, layer_fidelity
from edge_ecg_export.gate import COSINES, EngineResult, GateReport, compare
from edge_ecg_export.graph import Trunk
from edge_ecg_export.quantise import quantise
from edge_ecg_export.quantised import QConv, QuantisedTrunk
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore

CONVS = [f"conv{index}" for index in range(1, 7)]
SETTINGS = ExportSettings(
    "small", "1.0.0", datetime(2026, 1, 31, tzinfo=UTC), calibration_windows=12, float_convs=(0,)
)


def ruin(trunk: QuantisedTrunk, name: str, factor: float = 4.0) -> QuantisedTrunk:
    """Let one convolution's weights stand for more than they should."""
    steps = tuple(
        replace(step, weight_scales=step.weight_scales * np.float32(factor))
        if isinstance(step, QConv) and step.name == name
        else step
        for step in trunk.steps
    )
    return replace(trunk, steps=steps)


@pytest.mark.parametrize("factor", [pytest.param(1.6, marks=pytest.mark.slow), 4.0])
@pytest.mark.parametrize(
    "name", [name if name == "conv4" else pytest.param(name, marks=pytest.mark.slow) for name in CONVS]
)
def test_a_ruined_layer_is_named(run: RunDir, store: WindowStore, name: str, factor: float) -> None:
    def ruined(trunk: Trunk, calibration: Calibration, float_convs: int) -> QuantisedTrunk:
        return ruin(quantise(trunk, calibration, float_convs), name, factor)

    with pytest.raises(GateError) as caught:
        export_run(run, store, SETTINGS, quantiser=ruined)
    assert caught.value.exit_code == 6
    assert [other for other in CONVS if other in str(caught.value)] == [name]
    assert "litert-int8" in caught.value.what
    assert "onnx-int8" in caught.value.what
    assert "fp32" not in caught.value.what


def test_a_healthy_export_passes_and_a_second_variant_rescues(run: RunDir, store: WindowStore) -> None:
    def only_float_block(trunk: Trunk, calibration: Calibration, float_convs: int) -> QuantisedTrunk:
        made = quantise(trunk, calibration, float_convs)
        return made if float_convs else ruin(made, "conv1")

    assert export_run(run, store, SETTINGS).report.failures == []
    said: list[str] = []
    settings = replace(SETTINGS, float_convs=(0, 2))
    exported = export_run(run, store, settings, quantiser=only_float_block, say=said.append)
    assert exported.float_convs == 2
    assert [text.partition(":")[0] for text in said] == ["all layers in int8"]


@pytest.mark.slow
def test_own_noise_blames_only_the_ruined_layer(
    trunk: Trunk, calibration: Calibration, windows: NDArray[np.float32]
) -> None:
    healthy = quantise(trunk, calibration)
    before = layer_fidelity(trunk, healthy, windows[:2])
    assert [layer.name for layer in before] == CONVS
    after = layer_fidelity(trunk, ruin(healthy, "conv3"), windows[:2])
    assert min(after, key=lambda layer: layer.own_snr_db).name == "conv3"
    assert after[2].own_snr_db < before[2].own_snr_db - 10
    # Layers in front see nothing of it.
    assert after[:2] == before[:2]
    # Those behind inherit it, which is not their fault.
    for ahead, behind in zip(before[3:], after[3:], strict=True):
        assert behind.snr_db < ahead.snr_db - 5
        assert behind.own_snr_db > after[2].own_snr_db + 5


def test_compare_counts_flips_and_macro_f1(head: MlpHead) -> None:
    rng = np.random.default_rng(2)
    reference = (head.mean + rng.normal(size=(200, 128)) * head.scale).astype(np.float32)
    engine = reference.copy()
    engine[:30] = 2 * head.mean - reference[:30]  # mirrored about the head's threshold: decisions flip
    labels = head.probabilities(reference).argmax(axis=1)
    labels[::7] = -1
    result = compare("onnx-int8", engine, reference, {"stress": head}, {"stress": labels})
    assert result.flips == {"stress": pytest.approx(30 / 200)}
    known = labels >= 0
    said = head.probabilities(engine).argmax(axis=1)
    expected = 1 - f1_score(labels[known], said[known], average="macro")
    assert result.macro_f1_loss == {"stress": pytest.approx(expected)}
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(engine, reference, strict=True)]
    assert result.cosine_mean == pytest.approx(np.mean(cosines), abs=1e-6)
    assert result.cosine_p1 == pytest.approx(np.quantile(cosines, 0.01), abs=1e-6)


def test_compare_measures_the_auc(head: MlpHead) -> None:
    rng = np.random.default_rng(2)
    reference = (head.mean + rng.normal(size=(200, 128)) * head.scale).astype(np.float32)
    engine = reference.copy()
    engine[:30] = 2 * head.mean - reference[:30]
    labels = head.probabilities(reference).argmax(axis=1)
    labels[::7] = -1
    result = compare("onnx-int8", engine, reference, {"stress": head}, {"stress": labels})
    score = head.probabilities(engine)[:, 1]
    above = score[labels == 1][:, None] - score[labels == 0]
    expected = np.mean((above > 0) + 0.5 * (above == 0))  # Mann and Whitney's share of pairs in order
    assert result.auc == {"stress": pytest.approx(expected)}
    assert result.auc_loss == {"stress": pytest.approx(1 - expected)}
    assert compare("onnx-int8", reference, engine, {"stress": head}, {"stress": labels}).auc_loss == {
        "stress": 0.0
    }


def test_compare_without_labels_has_no_f1_and_a_gain_is_no_loss(head: MlpHead) -> None:
    rng = np.random.default_rng(3)
    good = (head.mean + rng.normal(size=(50, 128)) * head.scale).astype(np.float32)
    bad = (2 * head.mean - good).astype(np.float32)
    unlabelled = compare("onnx-int8", good, bad, {"stress": head}, {"stress": np.full(50, -1)})
    assert unlabelled.macro_f1_loss == {}
    labels = head.probabilities(good).argmax(axis=1)
    better = compare("onnx-int8", good, bad, {"stress": head}, {"stress": labels})
    assert better.flips == {"stress": 1.0}
    assert better.macro_f1_loss == {"stress": 0.0}


@pytest.mark.parametrize("engine", ["litert-int8", "onnx-fp32"])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cosine_mean": 0.98}, "mean cosine of its embeddings is 0.98"),
        ({"cosine_mean": float("nan")}, "mean cosine of its embeddings is nan"),
        ({"cosine_p1": 0.85}, "one embedding in a hundred has a cosine below 0.85"),
        ({"changes": {"stress": 0.051}}, "5.10% of its stress decisions come or go (at most 5%)"),
        ({"snr_db": 9.5}, "lie 9.5 dB above their error"),
        ({"flips": {"stress": 0.0101, "other": 0.01}}, "1.01% of its stress decisions flip (at most 1%)"),
        ({"macro_f1_loss": {"stress": 0.011}}, "it loses 1.1 points of macro-F1 on stress (at most 1)"),
        ({"auc_loss": {"stress": 0.0051}}, "it loses 0.51 points of AUC on stress (at most 0.5)"),
    ],
)
def test_each_limit_has_its_sentence(engine: str, changes: dict[str, object], sentence: str) -> None:
    limits = COSINES[engine[-4:]]
    fine = EngineResult(
        engine,
        limits.mean,
        limits.p1,
        60.0,
        {"stress": 0.01},
        {"stress": 0.05},
        {"stress": 0.3},
        {"stress": 0.01},
        {"stress": 0.9},
        {"stress": 0.005},
    )
    assert fine.failures() == []
    (said,) = replace(fine, **changes).failures()
    assert said.startswith(f"{engine}: ")
    assert sentence in said


def test_float_files_have_tighter_limits() -> None:
    result = EngineResult("onnx-fp32", 0.9999, 0.999, 60.0, {}, {}, {}, {})
    assert len(result.failures()) == 2
    assert replace(result, engine="onnx-int8").failures() == []


def test_report_raises_only_for_failures() -> None:
    layers = [LayerFidelity("conv1", 30.0, 30.0), LayerFidelity("conv2", 20.0, 35.0)]
    fine = EngineResult("onnx-int8", 1.0, 1.0, 60.0, {"stress": 0.0}, {}, {}, {})
    GateReport(4, 2, [fine], layers).check()
    report = GateReport(4, 2, [fine, replace(fine, flips={"stress": 0.5})], layers)
    with pytest.raises(GateError, match="conv1 loses most") as caught:
        report.check()
    assert "50.00% of its stress decisions" in caught.value.what
    assert "docs/export.md" in caught.value.remedy
