"""Personal features: against numbers worked out by hand, and against a simulated heart."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ecg.heads.personal import PERSONAL_FEATURES, SOURCES, personal_features


def test_numbers_worked_out_by_hand():
    # 60 beats a minute, SDNN 50 ms: 0.05 s * 60^2 / 60 = 3 beats a minute; sqrt(3^2 + 1^2) = 3.1623.
    z, sdnn, rmssd = personal_features([[70.0, 25.0, 80.0]], [60.0, 50.0, 40.0])[0]
    assert z == pytest.approx(10.0 / np.sqrt(10.0))
    assert sdnn == pytest.approx(np.log(0.5))
    assert rmssd == pytest.approx(np.log(2.0))


def test_deviation_of_the_rate_is_that_of_a_simulated_heart():
    rng = np.random.default_rng(0)
    rr_s = rng.normal(0.8, 0.03, 200_000)
    rates_bpm = 60.0 / rr_s
    z = personal_features([[75.0 + 10.0, 30.0, 30.0]], [75.0, 1e3 * rr_s.std(), 30.0], ["heart_rate_z"])
    assert z[0, 0] == pytest.approx(10.0 / np.hypot(rates_bpm.std(), 1.0), rel=0.01)


def test_rest_itself_is_zero_and_names_choose_columns():
    rest = [64.0, 0.4, 31.0]
    assert personal_features([rest], rest).tolist() == [[0.0, 0.0, 0.0]]
    all_of_them = personal_features([[70.0, 20.0, 10.0]], rest)
    for index, name in enumerate(PERSONAL_FEATURES):
        assert personal_features([[70.0, 20.0, 10.0]], rest, [name])[0, 0] == all_of_them[0, index]


def test_what_is_not_determined_stays_so():
    found = personal_features([[np.nan, 20.0, 30.0], [70.0, 20.0, np.nan]], [60.0, 25.0, 30.0])
    assert np.isnan(found).tolist() == [[True, False, False], [False, False, True]]
    assert np.isnan(personal_features([[70.0, 20.0, 30.0]], [60.0, np.nan, 30.0])).tolist() == [
        [True, True, False]
    ]


def test_wrong_shapes_and_names_are_refused():
    with pytest.raises(ValueError, match="do not hold 3"):
        personal_features([[1.0, 2.0]], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="no personal feature 'mood'"):
        personal_features(np.zeros((0, len(SOURCES))), np.ones(3), ["mood"])
