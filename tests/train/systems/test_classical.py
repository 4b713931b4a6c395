"""Classical classifiers against scikit-learn by hand; classical features against signals that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.systems.classical import NEIGHBOURS, ClassicalModel
from edge_ecg_train.systems.hrv import (
    BANDS_HZ,
    GROUPS,
    MORPHOLOGY,
    band_energies,
    breathing,
    classical_features,
    features_of,
    mean_beat,
)

Clouds = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_], NDArray[np.float64]]


def clouds(classes: int = 2) -> Clouds:
    """Unequal classes of ten people, and new points, all of mean 0 and deviation 1 over the training."""
    rng = np.random.default_rng(classes)
    labels = rng.choice(classes, 200, p=[0.7, 0.3] if classes == 2 else [0.5, 0.3, 0.2])
    features = rng.normal(size=(200, 4)) + labels[:, None] * [1.0, 0.5, 0.0, -0.5]
    features = (features - features.mean(0)) / features.std(0)
    return features, labels, np.repeat([f"p{i}" for i in range(10)], 20), rng.normal(size=(30, 4))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", ["logistic", "forest", "lda", "naive-bayes"])
def test_probabilities_are_scikit_learns(model: str, classes: int) -> None:
    x, y, groups, new = clouds(classes)
    equal = np.full(classes, 1 / classes)
    by_hand: dict[str, Any] = {
        "logistic": LogisticRegression(class_weight="balanced", max_iter=1000),
        "forest": RandomForestClassifier(
            100, min_samples_leaf=5, class_weight="balanced_subsample", random_state=3
        ),
        "lda": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=equal),
        "naive-bayes": GaussianNB(priors=equal),
    }
    np.testing.assert_allclose(
        ClassicalModel(model, x, y, groups, classes, 3).probabilities(new),
        by_hand[model].fit(x, y).predict_proba(new),
        atol=1e-9,
    )


def test_votes_of_neighbours_are_divided_by_the_classes_shares() -> None:
    x, y, groups, new = clouds()
    votes = KNeighborsClassifier(NEIGHBOURS).fit(x, y).predict_proba(new)
    odds = votes[:, 1] / np.mean(y == 1), votes[:, 0] / np.mean(y == 0)
    said = ClassicalModel("knn", x, y, groups, 2, 0).probabilities(new)
    np.testing.assert_allclose(said[:, 1], odds[0] / (odds[0] + odds[1]))


def test_an_svms_distances_become_probabilities_by_people_left_out() -> None:
    x, y, groups, new = clouds()
    distances = np.zeros(200)
    for fit, held_out in GroupKFold(5).split(x, y, groups):
        mean, sd = x[fit].mean(0), x[fit].std(0)
        svm = SVC(class_weight="balanced").fit((x[fit] - mean) / sd, y[fit])
        distances[held_out] = svm.decision_function((x[held_out] - mean) / sd)
    platt = LogisticRegression(class_weight="balanced").fit(distances[:, None], y)
    expected = platt.predict_proba(SVC(class_weight="balanced").fit(x, y).decision_function(new)[:, None])
    said = ClassicalModel("svm", x, y, groups, 2, 0).probabilities(new)
    np.testing.assert_allclose(said, expected, atol=1e-6)


@pytest.mark.parametrize("model", ["logistic", "svm", "forest", "knn", "lda", "naive-bayes"])
def test_missing_values_and_classes(model: str) -> None:
    """Class 1 of three does not occur, one feature is missing now and then, and one always."""
    x, y, groups, new = clouds()
    x[::7, 1], x[:, 3], new[3, 1] = np.nan, np.nan, np.nan
    said = ClassicalModel(model, x, 2 * y, groups, 3, 0).probabilities(new)
    assert (said[:, 1] == 0.0).all()
    np.testing.assert_allclose(said.sum(axis=1), 1.0)
    assert ((said[:, 2] > 0.5) == (new[:, 0] > 0.3)).mean() > 0.65


def test_a_wave_shows_in_its_band() -> None:
    t = np.arange(2560) / 256
    for index, (low, high) in enumerate(BANDS_HZ):
        wave = np.sin(2 * np.pi * np.sqrt(low * high) * t)
        energies = band_energies(wave)
        assert energies[: len(BANDS_HZ)].argmax() == index
        # A wave ten times as high has a hundred times the power, everywhere.
        np.testing.assert_allclose(band_energies(10 * wave)[index] - energies[index], 2.0, atol=1e-6)
    steady, bursts = band_energies(np.sin(60 * t)), band_energies(np.sin(60 * t) * (t % 5 < 2))
    band = len(BANDS_HZ) + 2  # 60 rad/s are 9.5 Hz
    assert bursts[band] > steady[band] + 0.5


@pytest.mark.parametrize("breaths_hz", [0.2, 0.3])
def test_breathing_shows_in_the_intervals(breaths_hz: float) -> None:
    times_s = [0.2]
    while times_s[-1] < 9.2:
        times_s.append(times_s[-1] + 0.7 + 0.05 * np.sin(2 * np.pi * breaths_hz * times_s[-1]))
    peaks = np.round(256 * np.array(times_s)).astype(np.int64)
    log_power, share, hz = breathing(peaks)
    assert hz == pytest.approx(breaths_hz, abs=0.03)
    assert share > 0.75
    even, *_ = breathing(np.arange(13) * 180)
    assert log_power > even + 5
    assert np.isnan(breathing(peaks[:4])).all()


def test_the_mean_beat(stress_data: TaskData) -> None:
    """Beats of R 1 mV, S -0.2 mV and T 0.25 mV at 0.25 s, with P 0.12 mV before."""
    t = np.arange(2560) / 256
    peaks = np.round(256 * np.arange(0.5, 9.7, 0.8)).astype(np.int64)
    ecg = np.zeros(2560)
    for r_s in peaks / 256:
        for shift_s, height_mv, width_s in ((-0.16, 0.12, 0.02), (0.0, 1.0, 0.01), (0.25, 0.25, 0.04)):
            ecg += height_mv * np.exp(-0.5 * ((t - r_s - shift_s) / width_s) ** 2)
    measured = dict(zip(MORPHOLOGY, mean_beat(ecg, peaks), strict=True))
    # Zero is the level before the QRS complex, where the P wave has not quite ended.
    assert measured["r_amplitude"] == pytest.approx(1.0, abs=0.01)
    assert measured["p_amplitude"] == pytest.approx(0.12, abs=0.01)
    assert measured["t_amplitude"] == pytest.approx(0.25, abs=0.01)
    assert measured["t_time_ms"] == pytest.approx(250, abs=4)
    assert measured["r_amplitude_sd"] == pytest.approx(0.0, abs=1e-3)
    # A Gaussian is 2.355 deviations wide at half its height.
    assert measured["qrs_width_ms"] == pytest.approx(23.55, abs=4)
    upside_down = dict(zip(MORPHOLOGY, mean_beat(-ecg, peaks), strict=True))
    assert upside_down["t_to_r"] == pytest.approx(-measured["t_to_r"])
    assert upside_down["t_amplitude"] == pytest.approx(-measured["t_amplitude"])
    assert np.isnan(mean_beat(ecg, peaks[:3])).all()


def test_groups_are_columns_of_all_features(stress_data: TaskData) -> None:
    whole = classical_features(stress_data)
    assert whole.shape == (len(stress_data), sum(map(len, GROUPS.values())))
    parts = [classical_features(stress_data, (name,)) for name in GROUPS]
    np.testing.assert_array_equal(np.hstack(parts), whole)
    np.testing.assert_array_equal(features_of(stress_data.windows[5:7]), whole[5:7])
    assert features_of(stress_data.windows[:0]).shape == (0, whole.shape[1])
