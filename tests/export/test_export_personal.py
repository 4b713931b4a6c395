"""Heads with interval features and heads for known people: through the gate, to the device."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg.bundle import Golden, TaskSpec, read_bundle
from edge_ecg.errors import GateError
from edge_ecg.heads import SOURCES, MlpHead, interval_features_of
from edge_ecg.model import load_model
from edge_ecg_export.build import ExportSettings, export_run, split_rows
from edge_ecg_export.deciders import deciders, shipped_tasks
from edge_ecg_export.gate import compare
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore

SETTINGS = ExportSettings(
    "personal", "1.0.0", datetime(2026, 1, 31, tzinfo=UTC), lean=True, calibration_windows=12
)
FEATURES, PERSONAL = ("log_heart_rate", "sdnn_ms"), ("log_rmssd_change", "heart_rate_z", "log_sdnn_change")


def head(inputs: int, seed: int) -> MlpHead:
    """A head that looks at every input a little; few decisions are close."""
    rng = np.random.default_rng(seed)
    return MlpHead(np.zeros(inputs), np.ones(inputs), [rng.normal(0, 0.3, (inputs, 1))], [np.zeros(1)])


@pytest.fixture
def personal_run(run: RunDir, arrays: dict[str, NDArray[Any]]) -> RunDir:
    """The trunk of 384 values, a head with interval features and one for known people."""
    shape = {"padding": np.array("valid"), "pooling": np.array("max-mean-std")}
    np.savez(run.encoder, **(arrays | shape))
    head(386, 1).save(run.head("stress"))
    head(387, 2).save(run.head("stress.personal"))
    task = {
        "labels": ["rest", "stress"],
        "features": FEATURES,
        "personal": True,
        "personal_features": PERSONAL,
        "context_s": 30.0,
    }
    facts = run.read_json() | {"tasks": {"stress": task}}
    (run.path / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    return run


def test_the_bundle_says_what_its_heads_see(personal_run: RunDir, store: WindowStore) -> None:
    exported = export_run(personal_run, store, SETTINGS)
    bundle = read_bundle(io.BytesIO(exported.data))
    assert bundle.manifest.tasks["stress"] == TaskSpec(
        ("rest", "stress"),
        "heads/stress.npz",
        min_confidence=SETTINGS.min_confidence,
        features=FEATURES,
        personal_head="heads/stress.personal.npz",
        personal_features=PERSONAL,
        context_s=30.0,
    )
    encoder = bundle.manifest.encoder
    assert (encoder.embedding, encoder.padding, encoder.pooling) == (384, "valid", "max-mean-std")
    assert encoder.macs == 321_127_424
    gate = json.loads(json.dumps(bundle.manifest.training["gate"]))["engines"]
    for engine in gate.values():
        assert set(engine["flips"]) == {"stress", "stress, personal"}
        # The windows that are scored against a baseline are all stress here: they have no ROC curve.
        assert set(engine["auc_loss"]) == {"stress"}

    model = load_model(io.BytesIO(exported.data), "litert-int8")
    golden = Golden.from_bundle(bundle)
    found = model.predict(golden.windows)["stress"]
    np.testing.assert_allclose(found, golden.probabilities["stress"], atol=1e-6)
    assert np.ptp(found[:, 1]) > 0.01


def test_the_gate_decides_as_the_device_does(personal_run: RunDir, store: WindowStore) -> None:
    exported = export_run(personal_run, store, SETTINGS)
    model = load_model(io.BytesIO(exported.data), "onnx-int8")
    rows = split_rows(store.subject, SETTINGS)[1]
    windows = np.array(store.windows[rows])
    embeddings = model.embed(windows)
    asked, labels = deciders(shipped_tasks(personal_run, personal_run.read_json()), store, rows)
    np.testing.assert_allclose(
        asked["stress"].probabilities(embeddings), model.decide(embeddings, windows)["stress"], atol=1e-6
    )

    # The first two windows of a person are rest and end within a minute, the other two are stress.
    expected, sources = [], interval_features_of(windows, SOURCES)
    for person in np.unique(store.subject[rows]):
        theirs = np.flatnonzero(store.subject[rows] == person)
        rest, scored = theirs[:2], theirs[2:]
        inputs = model.personal_inputs(
            "stress",
            embeddings[scored],
            windows[scored],
            np.median(embeddings[rest], axis=0),
            np.median(sources[rest], axis=0),
        )
        expected.append(model.personal_heads["stress"].probabilities(inputs))
    found = asked["stress, personal"].probabilities(embeddings)
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-5)
    assert labels["stress, personal"].tolist() == [1] * len(found)


def test_people_without_a_baseline_leave_the_plain_head(personal_run: RunDir, store: WindowStore) -> None:
    rows = np.flatnonzero(store.label("stress") == 1)
    asked, labels = deciders(shipped_tasks(personal_run, personal_run.read_json()), store, rows)
    assert set(asked) == set(labels) == {"stress"}


def test_a_personal_head_alone_can_stop_an_export(
    personal_run: RunDir, store: WindowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(*arguments: Any) -> Any:
        result = compare(*arguments)
        return replace(result, flips={**result.flips, "stress, personal": 0.02})

    monkeypatch.setattr("edge_ecg_export.build.compare", worse)
    with pytest.raises(GateError, match=r"2.00% of its stress, personal decisions flip"):
        export_run(personal_run, store, replace(SETTINGS, float_convs=(0,)))
