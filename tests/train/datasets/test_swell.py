"""SWELL-KW: irregular names, which channel is the heart, and conditions from the spreadsheets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_ecg.cli import main
from edge_ecg.errors import DataError
from edge_ecg_train.datasets import Recording, get_dataset
from edge_ecg_train.datasets.swell import Swell
from edge_ecg_train.store import WindowStore

SWELL = Swell()
CONDITIONS = {(1, 1): "N", (1, 2): "T", (1, 3): "I", (2, 1): "N", (2, 2): "I", (2, 3): "T"}


@pytest.fixture(scope="session")
def files(generator: Callable[[str], ModuleType]) -> ModuleType:
    return generator("swell_files")


@pytest.fixture(scope="module")
def whole(files: ModuleType, synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Two people, three blocks each; only to be read."""
    root = tmp_path_factory.mktemp("data") / "SWELL"
    return root, files.write_swell(root, synthetic, CONDITIONS)


def _found(root: Path, dataset: Swell = SWELL) -> dict[tuple[str, str], Recording]:
    recordings = list(dataset.recordings(root))
    found = {(one.subject, one.session): one for one in recordings}
    assert len(found) == len(recordings)
    return found


def test_it_is_in_the_table() -> None:
    assert isinstance(get_dataset("swell"), Swell)


@pytest.mark.parametrize("up", [0, 1])
def test_samples_conditions_and_ratings(whole: tuple[Path, Any], up: int) -> None:
    root, written = whole
    found = _found([root, root.parent][up])
    assert set(found) == {(f"swell/pp{person:02}", f"c{block}") for person, block in CONDITIONS}
    for (person, block), one in written.items():
        recording = found[f"swell/pp{person:02}", f"c{block}"]
        np.testing.assert_array_equal(recording.ecg_mv(), one.adc[:, 7].astype(float) * 1e-3)
        assert (recording.lead, recording.fs_hz, recording.usable) == ("HeartPre", 2048.0, True)
        (span,) = recording.spans
        assert (span.start_s, span.end_s) == (0.0, recording.duration_s)
        assert span.values["condition"] == CONDITIONS[person, block]
        assert span.values["block"] == block
        assert (span.values["valence"], span.values["arousal"]) == (block + 3.0, person)


def test_the_signals_folder_alone_finds_the_tables_above_it(
    whole: tuple[Path, Any], files: ModuleType
) -> None:
    root, _ = whole
    assert _found(root / files.SIGNALS).keys() == _found(root).keys()


def test_irregular_names(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    names = {
        (1, 3): "pp1_18-9-2014_c3",
        (10, 1): "pp10_2-10-2012-c1",
        (12, 2): "PP12_3-10-212_c2",
        (23, 2): "pp23_1-11-2012_c2_cont",
    }
    files.write_swell(
        tmp_path, synthetic, {key: "N" if key[1] == 1 else "T" for key in names}, names=names, duration_s=6.0
    )
    (tmp_path / files.SIGNALS / "readme.txt").write_text("not a recording")
    found = _found(tmp_path)
    assert set(found) == {
        ("swell/pp01", "c3"),
        ("swell/pp10", "c1"),
        ("swell/pp12", "c2"),
        ("swell/pp23", "c2_cont"),
    }
    assert {one.spans[0].values["condition"] for one in found.values()} == {"N", "T"}


def test_recordings_known_to_be_bad_are_marked(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    blocks = {(8, 1): "N", (10, 1): "N", (10, 2): "T", (23, 2): "T"}
    files.write_swell(tmp_path, synthetic, blocks, names={(23, 2): "pp23_1-11-2012_c2_cont"}, duration_s=12.0)
    usable = {key: one.usable for key, one in _found(tmp_path).items()}
    assert usable == {
        ("swell/pp08", "c1"): False,
        ("swell/pp10", "c1"): True,
        ("swell/pp10", "c2"): False,
        ("swell/pp23", "c2_cont"): False,
    }


def _channels(files: ModuleType, *names: str) -> Any:
    return tuple(files.Channel(name) for name in names)


@pytest.mark.parametrize(
    ("names", "at", "lead"),
    [
        # The heart rate stands still, so the next name counts.
        (("Heart Rate", "Resp", "ECG"), "ECG", "ECG"),
        (("HeartRaw", "Skin", "HeartPre"), "HeartRaw", "HeartRaw"),
        # No name tells: the eighth, and if that is none, the sixth.
        (("A", "B", "C", "D", "E", "F", "G", "H"), "H", "H"),
        (("A", "B", "C", "D", "E", "F", "G", "H"), "F", "F"),
    ],
)
def test_the_heart_is_found(
    files: ModuleType, synthetic: Any, tmp_path: Path, names: tuple[str, ...], at: str, lead: str
) -> None:
    channels = _channels(files, *names)
    files.write_swell(tmp_path, synthetic, {(1, 1): "N"}, channels=channels, at=at)
    (recording,) = SWELL.recordings(tmp_path)
    assert (recording.lead, recording.usable) == (lead, True)


def test_a_heart_that_beats_too_fast_or_not_at_all_is_not_used(
    files: ModuleType, synthetic: Any, tmp_path: Path
) -> None:
    files.write_swell(tmp_path, lambda *a, **k: synthetic(a[0], a[1], 230.0), {(1, 1): "N"})
    (fast,) = SWELL.recordings(tmp_path)
    files.write_swell(tmp_path, synthetic, {(1, 1): "N"}, at="nowhere")
    (noise,) = SWELL.recordings(tmp_path)
    assert (fast.usable, noise.usable) == (False, False)


def test_the_user_knows_better(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    written = files.write_swell(tmp_path, synthetic, {(1, 1): "N"}, at="EMG right")
    for channel in ("emg right", "1"):
        (recording,) = Swell(channel).recordings(tmp_path)
        np.testing.assert_array_equal(recording.ecg_mv(), written[1, 1].adc[:, 1].astype(float) * 1e-3)
        assert recording.usable
    (wrong,) = Swell("nose").recordings(tmp_path)
    with pytest.raises(DataError, match="no channel 'nose'") as caught:
        wrong.ecg_mv()
    assert "7: HeartPre" in caught.value.why


def test_no_channel_at_all(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    files.write_swell(tmp_path, synthetic, {(1, 1): "N"}, channels=_channels(files, "A", "B"), at="A")
    (recording,) = SWELL.recordings(tmp_path)
    with pytest.raises(DataError, match="could be the ECG") as caught:
        recording.ecg_mv()
    assert "--channel" in caught.value.remedy


def test_millivolts_stay_millivolts(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    channels = (files.Channel("ECG", "mVolt"),)
    written = files.write_swell(tmp_path, synthetic, {(1, 1): "N"}, channels=channels, at="ECG")
    (recording,) = SWELL.recordings(tmp_path)
    np.testing.assert_array_equal(recording.ecg_mv(), written[1, 1].adc[:, 0].astype(float))


# Spreadsheets


@pytest.mark.parametrize("gone", ["BEHAVIOUR", "OVERVIEW"])
def test_one_table_is_enough_for_conditions(
    files: ModuleType, synthetic: Any, tmp_path: Path, gone: str
) -> None:
    files.write_swell(tmp_path, synthetic, CONDITIONS, duration_s=3.0)
    (tmp_path / getattr(files, gone)).unlink()
    for (subject, session), one in _found(tmp_path).items():
        values = one.spans[0].values
        assert values["condition"] == CONDITIONS[int(subject[-2:]), int(session[1])]
        assert ("arousal" in values) == (gone == "OVERVIEW")


def test_no_table_at_all(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    files.write_swell(tmp_path, synthetic, {(1, 1): "N"}, duration_s=3.0)
    (tmp_path / files.BEHAVIOUR).unlink()
    (tmp_path / files.OVERVIEW).unlink()
    with pytest.raises(DataError, match="conditions of SWELL-KW are unknown"):
        list(SWELL.recordings(tmp_path))
    report = SWELL.check(tmp_path)
    assert files.BEHAVIOUR in report.missing
    assert report.damaged


def test_tables_that_contradict_each_other(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    files.write_swell(tmp_path, synthetic, CONDITIONS, duration_s=3.0)
    files.write_overview(tmp_path / files.OVERVIEW, {**CONDITIONS, (2, 2): "T"})
    with pytest.raises(DataError, match="Row 6 calls a block T that was I"):
        list(SWELL.recordings(tmp_path))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path, files: path.write_bytes(b"PK\x03\x04 not a book"), "cannot be used"),
        (lambda path, files: path.write_bytes(path.read_bytes()[:2000]), "cannot be used"),
        (lambda path, files: path.write_text("a,b\n"), "cannot be used"),
        (
            lambda path, files: files.write_behaviour(path, {}, lambda *_: (), columns=("PP", "x")),
            "no column Blok, Condition",
        ),
        (
            lambda path, files: files.write_behaviour(path, {(1, 1): "Q"}, lambda *_: (1, 1, 1, 1)),
            "condition 'Q'",
        ),
    ],
)
def test_damaged_tables(
    files: ModuleType, synthetic: Any, tmp_path: Path, damage: Any, sentence: str
) -> None:
    files.write_swell(tmp_path, synthetic, {(1, 1): "N"}, duration_s=3.0)
    damage(tmp_path / files.BEHAVIOUR, files)
    with pytest.raises(DataError, match=sentence):
        list(SWELL.recordings(tmp_path))


# check and prepare


def test_check_names_what_is_missing_and_damaged(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    blocks = {(1, block): "NTI"[block - 1] for block in (1, 2, 3)}
    written = files.write_swell(tmp_path, synthetic, blocks, duration_s=6.0)
    cut = written[1, 2].path
    cut.write_bytes(cut.read_bytes()[:-500])
    stray = cut.with_name("export.S00")
    stray.write_bytes(written[1, 1].path.read_bytes())
    report = SWELL.check(tmp_path)
    assert (report.subjects, report.recordings) == (1, 2)
    assert report.minutes == pytest.approx(0.2)
    assert len(report.missing) == 72
    assert "pp2_*_c1.S00" in report.missing
    assert set(report.damaged) == {"swell/pp01 pp1_18-9-2012_c2", "swell/export export"}
    assert "not named as" in report.damaged["swell/export export"]


def test_prepare_labels_every_task(
    files: ModuleType, synthetic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write_swell(tmp_path / "swell", synthetic, CONDITIONS, duration_s=14.0)
    words = ["data", "prepare", "swell", "--root", tmp_path, "-o", tmp_path / "store", "--json"]
    assert main([str(word) for word in words]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["labelling"]["rules"]["swell"]["stress"]["classes"] == {"rest": ["N"], "stress": ["T", "I"]}
    store = WindowStore.open(tmp_path / "store")
    assert len(store) == len(CONDITIONS)
    for index in range(len(store)):
        person, block = int(store.subject[index][-2:]), int(store.session[index][1])
        assert store.label("stress")[index] == int(block > 1)
        assert store.label("block")[index] == block - 1
        # Valence is the block's number + 3, arousal the person's number.
        assert store.label("valence")[index] == int(block >= 2)
        assert store.label("valence9")[index] == block + 2
        assert store.label("arousal")[index] == 0
        assert store.label("arousal9")[index] == person - 1
