"""Preparing a recording is running it live: the same classes, the same windows, the same scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg.errors import DataError, UsageError
from edge_ecg.samples import SampleBlock
from edge_ecg.signal import (
    CalibratedNormaliser,
    Resampler,
    Window,
    WindowChain,
    assess,
    high_pass,
    trimmed_scale,
)
from edge_ecg_train.datasets import DATASETS, Recording
from edge_ecg_train.prepare import Preparation, PreparedWindow, prepare, prepare_recording
from edge_ecg_train.store import NO_LABEL

EEGMAT = DATASETS["eegmat"]


def _recording(ecg_mv: NDArray[np.float64], fs_hz: float = 500.0) -> Recording:
    return Recording("made", "made/p", "s", "I", fs_hz, len(ecg_mv), lambda: ecg_mv)


def _live_windows(ecg_mv: NDArray[np.float64], fs_hz: float, seed: int) -> list[Window]:
    """The windows of a live stream that arrives in blocks of random sizes."""
    rng = np.random.default_rng(seed)
    chain = WindowChain(fs_hz)
    ticks = []
    first = 0
    while first < len(ecg_mv):
        size = int(rng.integers(1, 700))
        ticks += chain.push(SampleBlock(ecg_mv[first : first + size], fs_hz, first))
        first += size
    ticks += chain.flush()
    return [tick.window for tick in ticks if tick.window is not None]


def _noisy_middle(ecg_mv: NDArray[np.float64], fs_hz: float) -> NDArray[np.float64]:
    noisy = ecg_mv.copy()
    begin, end = int(22 * fs_hz), int(27 * fs_hz)
    noisy[begin:end] = 3.0 * np.random.default_rng(5).standard_normal(end - begin)
    return noisy


@pytest.mark.parametrize("hop_s", [1, 5, 10])
@pytest.mark.parametrize("spoilt", [False, True])
def test_prepared_windows_are_the_live_ones(make_ecg: Any, hop_s: int, spoilt: bool) -> None:
    fs_hz = 500.0
    ecg_mv = make_ecg(60.0, fs_hz, 70.0)
    if spoilt:
        ecg_mv = _noisy_middle(ecg_mv, fs_hz)
    # What the pipeline does with every window, once a second.
    normaliser, update_from, live = CalibratedNormaliser(), -np.inf, {}
    for window in _live_windows(ecg_mv, fs_hz, seed=hop_s):
        quality = assess(window)
        if quality.good and window.start_s >= update_from:
            normaliser.update(window.ecg_mv)
            update_from = window.end_s
        if quality.good:
            assert normaliser.scale is not None
            live[window.start_s] = normaliser.scale.apply(window.ecg_mv)
    prepared = list(prepare_recording(_recording(ecg_mv), Preparation(hop_s=hop_s)))
    assert len(prepared) >= 3
    for one in prepared:
        np.testing.assert_array_equal(one.samples, live[one.start_s])
    starts = np.array([one.start_s for one in prepared])
    assert (np.diff(starts) >= hop_s).all()
    if hop_s == 1:
        assert set(starts) == set(live)
    assert (len(live) < 50) == spoilt


def test_the_first_window_starts_when_the_filters_have_settled(make_ecg: Any) -> None:
    ecg_mv = make_ecg(41.5, 500.0, 70.0)
    prepared = list(prepare_recording(_recording(ecg_mv), Preparation()))
    assert [one.start_s for one in prepared] == [1.0, 11.0, 21.0, 31.0]


def test_recording_normalisation_is_the_trimmed_z_score_of_the_whole(make_ecg: Any) -> None:
    fs_hz = 300.0
    ecg_mv = make_ecg(35.0, fs_hz, 80.0)
    resampler = Resampler(fs_hz)
    x = high_pass(256.0).process(np.concatenate([resampler.process(ecg_mv), resampler.flush()]))
    scale = trimmed_scale(x[256:])
    prepared = list(prepare_recording(_recording(ecg_mv, fs_hz), Preparation(normalisation="recording")))
    assert len(prepared) == 3
    for one in prepared:
        start = round(one.start_s * 256)
        np.testing.assert_allclose(one.samples, scale.apply(x[start : start + 2560]), atol=1e-5)


def test_normalisation_makes_the_gain_irrelevant(make_ecg: Any) -> None:
    ecg_mv = make_ecg(32.0, 500.0, 70.0)
    for normalisation in ("calibrated", "recording"):
        preparation = Preparation(normalisation=normalisation)
        once = list(prepare_recording(_recording(ecg_mv), preparation))
        louder = list(prepare_recording(_recording(3.0 * ecg_mv + 0.7), preparation))
        for a, b in zip(once, louder, strict=True):
            np.testing.assert_allclose(a.samples, b.samples, atol=1e-4)


def test_calibrated_windows_do_not_depend_on_the_future(make_ecg: Any) -> None:
    ecg_mv = make_ecg(62.0, 500.0, 70.0)
    changed = ecg_mv.copy()
    changed[500 * 41 :] *= 4.0
    before = [one for one in prepare_recording(_recording(ecg_mv), Preparation()) if one.start_s < 31]
    after = [one for one in prepare_recording(_recording(changed), Preparation()) if one.start_s < 31]
    assert len(before) == 3
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a.samples, b.samples)


def test_no_window_spans_lost_samples(make_ecg: Any) -> None:
    ecg_mv = make_ecg(60.0, 500.0, 70.0)
    ecg_mv[500 * 25 : 500 * 25 + 40] = np.nan
    for normalisation in ("calibrated", "recording"):
        prepared = list(prepare_recording(_recording(ecg_mv), Preparation(1, normalisation)))
        assert all(np.isfinite(one.samples).all() for one in prepared)
        spans = [(one.start_s, one.start_s + 10.0) for one in prepared]
        assert all(end <= 25.0 or start >= 26.0 for start, end in spans)
        assert any(end <= 25.0 for _, end in spans)
        assert any(start >= 26.0 for start, _ in spans)


def test_the_notch_takes_mains_hum_away(make_ecg: Any) -> None:
    ecg_mv = make_ecg(35.0, 500.0, 70.0)
    ecg_mv += 0.05 * np.sin(2 * np.pi * 50.0 * np.arange(len(ecg_mv)) / 500.0)

    def hum(windows: list[PreparedWindow]) -> float:
        spectrum = np.abs(np.fft.rfft(windows[-1].samples))
        return float(spectrum[500])  # 50 Hz at 0.1 Hz a bin

    plain = list(prepare_recording(_recording(ecg_mv), Preparation()))
    notched = list(prepare_recording(_recording(ecg_mv), Preparation(notch_hz=50.0)))
    assert hum(notched) < 0.05 * hum(plain)


def test_bad_windows_are_kept_only_when_asked(make_ecg: Any) -> None:
    ecg_mv = _noisy_middle(make_ecg(60.0, 500.0, 70.0), 500.0)
    good = list(prepare_recording(_recording(ecg_mv), Preparation(1)))
    everything = list(prepare_recording(_recording(ecg_mv), Preparation(1, keep_bad=True)))
    assert all(one.quality.good for one in good)
    assert len(everything) == 50
    assert {one.start_s for one in good} == {one.start_s for one in everything if one.quality.good}
    assert not all(one.quality.good for one in everything)


@pytest.mark.parametrize("preparation", [Preparation(), Preparation(normalisation="recording")])
def test_nothing_comes_of_a_recording_without_ecg(preparation: Preparation) -> None:
    assert list(prepare_recording(_recording(np.zeros(20_000)), preparation)) == []
    assert list(prepare_recording(_recording(np.full(20_000, np.nan)), preparation)) == []
    assert list(prepare_recording(_recording(np.zeros(0)), preparation)) == []


def test_a_store_of_several_data_sets(fake_data: Any, tmp_path: Path) -> None:
    root: Path = fake_data.all()
    seen: list[str] = []
    names = ("eegmat", "qtdb", "cinc2017", "mitdb")
    store = prepare(
        [(DATASETS[name], root) for name in names],
        tmp_path / "store",
        Preparation(),
        on_recording=lambda one: seen.append(one.session),
    )
    assert len(seen) == 6 + 4 + 2 + 2
    assert set(store.dataset) == set(names)
    assert [entry["name"] for entry in store.info["datasets"]] == list(names)
    assert sum(entry["windows"] for entry in store.info["datasets"]) == len(store)
    stress = store.label("stress")
    ours = store.dataset == "eegmat"
    assert (stress[~ours] == NO_LABEL).all()
    np.testing.assert_array_equal(stress[ours], (store.session[ours] == "arithmetic").astype(int))
    assert ((store.quality >= 0) & (store.quality <= 1)).all()
    rate = store.heart_rate_bpm[ours & (store.subject == "eegmat/S00") & (stress == 0)]
    assert rate == pytest.approx(65.0, abs=4.0)


def test_recordings_without_ecg_are_left_out(fake_data: Any, tmp_path: Path) -> None:
    root: Path = fake_data.eegmat(unusable=("S01_rest",))
    store = prepare([(EEGMAT, root)], tmp_path / "store", Preparation())
    assert set(store.session[store.subject == "eegmat/S01"]) == {"arithmetic"}
    everything = prepare([(EEGMAT, root)], tmp_path / "all", Preparation(keep_bad=True))
    assert set(everything.session[everything.subject == "eegmat/S01"]) == {"rest", "arithmetic"}


def test_a_store_without_windows_is_refused(fake_data: Any, tmp_path: Path) -> None:
    root: Path = fake_data.eegmat(people=1, rest_s=5.0, arithmetic_s=5.0)
    with pytest.raises(DataError, match="Not one window"):
        prepare([(EEGMAT, root)], tmp_path / "store", Preparation())
    assert not (tmp_path / "store").exists()


def test_an_interruption_leaves_nothing(fake_data: Any, tmp_path: Path) -> None:
    root: Path = fake_data.eegmat()

    def interrupt(_: Recording) -> None:
        raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        prepare([(EEGMAT, root)], tmp_path / "out" / "store", Preparation(), on_recording=interrupt)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_file_leaves_nothing(fake_data: Any, tmp_path: Path) -> None:
    root: Path = fake_data.eegmat()
    samples = root / "ecg_500hz_int16.npz"
    data = bytearray(samples.read_bytes())
    data[600] ^= 0xFF
    samples.write_bytes(data)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="damaged"):
        prepare([(EEGMAT, root)], tmp_path / "out" / "store", Preparation())
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "settings", [{"normalisation": "zscore"}, {"hop_s": 0}, {"hop_s": 2.5}, {"hop_s": -10}]
)
def test_settings_that_make_no_sense(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Preparation(**settings)


def test_open_eegmat(data_root: Path, tmp_path: Path) -> None:
    store = prepare([(EEGMAT, data_root)], tmp_path / "store", Preparation(hop_s=5))
    assert len(np.unique(store.subject)) == 28
    assert 1000 < len(store) < 1200
    off = {
        ("eegmat/S02", "rest"),
        ("eegmat/S13", "rest"),
        ("eegmat/S20", "arithmetic"),
        ("eegmat/S35", "arithmetic"),
    }
    assert not off & set(zip(store.subject.tolist(), store.session.tolist(), strict=True))
    assert np.isfinite(store.windows).all()
    # The recordings' own figure: 76 bpm at rest, 91 while subtracting.
    stress = store.label("stress")
    assert np.nanmedian(store.heart_rate_bpm[stress == 0]) == pytest.approx(76, abs=3)
    assert np.nanmedian(store.heart_rate_bpm[stress == 1]) == pytest.approx(90, abs=4)
