"""Heads on the frozen encoder: equal to scikit-learn, deterministic, one embedding pass for all tasks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_ecg.errors import DataError, UsageError
from edge_ecg.heads.mlp import MlpHead
from edge_ecg_train.checkpoint import save_encoder
from edge_ecg_train.device import Execution
from edge_ecg_train.embeddings import embed, embeddings_of
from edge_ecg_train.emotion import train_emotion
from edge_ecg_train.heads import PRESETS, HeadConfig, class_loss, class_weights, fit_head
from edge_ecg_train.networks import Trunk
from edge_ecg_train.run_dir import RunDir


@pytest.fixture
def run(tmp_path) -> RunDir:
    torch.manual_seed(0)
    run = RunDir(tmp_path / "run")
    run.create()
    save_encoder(run.encoder, Trunk())
    run.update_json(pretext={})
    return run


def clouds(classes: int, n: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    centres = rng.normal(0, 0.8, (classes, 128))
    features = (centres[labels] + rng.normal(0, 3, (n, 128))) * rng.uniform(0.1, 10, 128) + 5
    return features.astype(np.float32), labels.astype(np.int64)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("weight", ["balanced", "none"])
def test_linear_head_equals_scikit_learn(classes, weight):
    features, labels = clouds(classes)
    head = fit_head(features, labels, HeadConfig(c=0.3, class_weight=weight))
    model = make_pipeline(
        StandardScaler(),
        LogisticRegression(
            C=0.3, class_weight="balanced" if weight == "balanced" else None, max_iter=5000, tol=1e-6
        ),
    )
    model.fit(features.astype(np.float64), labels)
    assert head.probabilities(features) == pytest.approx(model.predict_proba(features), abs=2e-4)


def test_linear_head_leaves_room_for_classes_it_has_not_seen():
    features, labels = clouds(2)
    labels = np.where(labels == 1, 2, 0)
    probabilities = fit_head(features, labels, classes=4).probabilities(features)
    assert probabilities.shape == (240, 4)
    assert probabilities[:, [1, 3]].max() < 1e-6
    two = fit_head(features, (labels == 2).astype(np.int64)).probabilities(features)
    assert probabilities[:, 2] == pytest.approx(two[:, 1], abs=1e-3)
    three = np.where(np.arange(240) % 3 == 0, 3, labels)
    assert fit_head(features, three, classes=4).probabilities(features)[:, 1].max() < 1e-6


def test_constant_embedding_values_do_no_harm():
    features, labels = clouds(2)
    features[:, 7] = 3.25
    head = fit_head(features, labels)
    shifted = features.copy()
    shifted[:, 7] += 1e-3
    assert head.probabilities(shifted) == pytest.approx(head.probabilities(features), abs=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_mlp_learns_and_is_deterministic(classes):
    features, labels = clouds(classes)
    config = HeadConfig(kind="mlp", hidden=(32, 16), dropout=0.2, epochs=60, seed=5)
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    first = fit_head(features, labels, config)
    assert torch.equal(torch.random.get_rng_state(), state)  # other code's randomness is left alone
    torch.manual_seed(1)
    second = fit_head(features, labels, config)
    other = fit_head(features, labels, replace(config, seed=6))
    assert [w.shape for w in first.weights] == [(128, 32), (32, 16), (16, 1 if classes == 2 else 3)]
    assert all(np.array_equal(a, b) for a, b in zip(first.weights, second.weights, strict=True))
    assert not np.array_equal(first.weights[0], other.weights[0])
    assert (first.probabilities(features).argmax(1) == labels).mean() > 0.95


def test_mlp_l2_is_lambda_times_the_sum_of_squares():
    # With a penalty that outweighs everything, the kernels shrink to nothing and biases stay free.
    features, labels = clouds(2)
    config = HeadConfig(kind="mlp", hidden=(), epochs=200, learning_rate=0.01, l2=100.0, class_weight="none")
    head = fit_head(features, labels, config)
    assert np.abs(head.weights[0]).max() < 0.02
    share = labels.mean()
    assert head.biases[0][0] == pytest.approx(np.log(share / (1 - share)), abs=0.15)


def test_presets_are_those_of_the_released_code():
    widths = {name: PRESETS[name].hidden for name in ("swell", "wesad", "dreamer", "amigos")}
    assert widths == {"swell": (512,) * 2, "wesad": (512,) * 2, "dreamer": (512,) * 3, "amigos": (512,) * 3}
    assert [PRESETS[name].dropout for name in ("swell", "dreamer", "amigos")] == [0.0, 0.2, 0.4]
    assert [PRESETS[name].l2 for name in ("swell", "dreamer", "amigos")] == [0.0, 1e-4, 0.0]
    for name in ("swell", "wesad", "dreamer", "amigos"):
        preset = PRESETS[name]
        assert (preset.epochs, preset.batch, preset.learning_rate) == (200, 128, 1e-3)
        assert not preset.standardise


def test_class_loss_by_hand():
    logits = torch.tensor([[0.3], [-1.2], [2.0]], dtype=torch.float64)
    labels = torch.tensor([1, 0, 0])
    p = 1 / (1 + np.exp(-logits[:, 0].numpy()))
    weights = class_weights(labels.numpy(), 2, "balanced").double()
    assert weights.tolist() == pytest.approx([0.75, 1.5])
    expected = (-1.5 * np.log(p[0]) - 0.75 * np.log(1 - p[1]) - 0.75 * np.log(1 - p[2])) / 3
    assert float(class_loss(logits, labels, weights)) == pytest.approx(expected)


def test_temperature_mends_overconfidence_on_people_left_out():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"p{i}" for i in range(10)], 40)
    features = rng.normal(0, 1, (400, 128))
    labels = (features[:, 0] + rng.normal(0, 2, 400) > 0).astype(np.int64)
    config = HeadConfig(c=100.0)
    plain = fit_head(features, labels, config, groups=groups)
    tempered = fit_head(features, labels, replace(config, temperature=True), groups=groups)
    assert plain.temperature == 1.0
    assert tempered.temperature > 2.0
    fresh = rng.normal(0, 1, (2000, 128))
    truth = (fresh[:, 0] + rng.normal(0, 2, 2000) > 0).astype(np.int64)
    rows = np.arange(2000)
    before, after = (-np.log(h.probabilities(fresh)[rows, truth]).mean() for h in (plain, tempered))
    assert after < before - 0.1
    assert after < np.log(2) + 0.02
    assert np.array_equal(plain.probabilities(fresh).argmax(1), tempered.probabilities(fresh).argmax(1))


def test_impossible_heads_are_refused():
    features, labels = clouds(2)
    with pytest.raises(DataError, match="two classes"):
        fit_head(features, np.zeros_like(labels))
    with pytest.raises(DataError, match="two people"):
        fit_head(features, labels, HeadConfig(temperature=True), groups=np.full(240, "p"))
    with pytest.raises(DataError, match="one class only"):
        fit_head(features, labels, HeadConfig(temperature=True), groups=labels.astype(str))
    for wrong in (HeadConfig(c=0.0), HeadConfig(dropout=1.0), HeadConfig(epochs=0)):
        with pytest.raises(UsageError):
            fit_head(features, labels, wrong)


def test_all_tasks_share_one_embedding_pass(run, store):
    passes: list[int] = []
    heads = {"stress": HeadConfig(), "level": HeadConfig()}
    train_emotion(run.path, store, heads, on_windows=passes.append)
    assert sum(passes) == len(store)
    train_emotion(run.path, store, {"stress": HeadConfig(c=0.1)}, on_windows=passes.append)
    assert sum(passes) == len(store)  # and later trainings need none
    facts = json.loads((run.path / "run.json").read_text())
    assert facts["tasks"] == {
        "stress": {"labels": ["rest", "stress"]},
        "level": {"labels": ["low", "middle", "high"]},
    }
    assert facts["emotion"]["stress"]["head"]["c"] == 0.1
    assert facts["emotion"]["level"]["head"]["c"] == 1.0
    assert facts["emotion"]["stress"]["windows"] == {"rest": 24, "stress": 24}
    assert facts["emotion"]["level"]["windows"] == {"low": 12, "middle": 12, "high": 12}
    assert facts["store"] == str(store.path.resolve())
    assert facts["preprocessing"] == dict(store.preprocessing)
    # By which an export sees that they are not of another encoder.
    assert facts["head_encoders"] == dict.fromkeys(("stress", "level"), run.encoder_sha256())


def test_saved_head_tells_the_made_up_stress(run, store):
    train_emotion(run.path, store, {"stress": HeadConfig(c=0.1), "level": HeadConfig()})
    embeddings = embeddings_of(run, store)
    said = MlpHead.load(run.head("stress")).probabilities(embeddings)
    assert (said.argmax(1) == store.label("stress")).mean() > 0.9
    assert MlpHead.load(run.head("level")).classes == 3


def test_embeddings_are_the_trunks_in_float32(run, store):
    embeddings = embeddings_of(run, store, execution=Execution(precision="bf16", micro_batch_signals=7))
    torch.manual_seed(0)
    with torch.no_grad():
        expected = Trunk()(torch.from_numpy(np.array(store.windows[:5]))).numpy()
    assert embeddings.shape == (48, 128)
    assert embeddings[:5] == pytest.approx(expected, abs=1e-5)


def test_another_encoder_meets_no_old_embeddings(run, store):
    first = embeddings_of(run, store)
    torch.manual_seed(1)
    save_encoder(run.encoder, Trunk())
    assert not np.allclose(embeddings_of(run, store), first)


def test_damaged_cache_is_computed_again(run, store):
    first = embeddings_of(run, store)
    (cached,) = run.cache.iterdir()
    for damage in (b"", cached.read_bytes()[:1000]):
        cached.write_bytes(damage)
        assert np.array_equal(embeddings_of(run, store), first)


def test_embed_reports_what_it_has_done(store):
    from edge_ecg_train.device import prepare_machine

    seen: list[int] = []
    machine = prepare_machine(Execution("cpu", "fp32", micro_batch_signals=20))
    embed(Trunk(), store.windows[:45], machine, seen.append)
    assert seen == [20, 20, 5]


def test_missing_run_task_or_wrong_preprocessing_is_refused(run, store, tmp_path):
    with pytest.raises(DataError, match="not a run"):
        train_emotion(tmp_path / "nowhere", store, {"stress": HeadConfig()})
    with pytest.raises(DataError, match="no labels for the task"):
        train_emotion(run.path, store, {"joy": HeadConfig()})
    run.update_json(pretext={"preprocessing_hash": "other", "preprocessing": {"highpass_hz": 0.5}})
    with pytest.raises(DataError, match="prepared differently"):
        train_emotion(run.path, store, {"stress": HeadConfig()})


def test_heads_on_a_supervised_encoder_want_its_preprocessing(run, store):
    run.update_json(supervised={"datasets": []}, preprocessing={**store.preprocessing, "notch_hz": 50.0})
    with pytest.raises(DataError, match=r"prepared differently.*notch_hz"):
        train_emotion(run.path, store, {"stress": HeadConfig()})
    run.update_json(preprocessing=dict(store.preprocessing))
    train_emotion(run.path, store, {"stress": HeadConfig()})
