"""DREAMER: one large structure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.cli import main
from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.datasets import dreamer as reader
from edge_ecg_train.datasets.dreamer import Dreamer
from edge_ecg_train.datasets.labeller import Labeller
from edge_ecg_train.store import WindowStore

DREAMER = Dreamer()
MV_PER_STEP = 3000.0 / 4095.0 / 175.0


@pytest.fixture(scope="session")
def files(generator: Callable[[str], ModuleType]) -> ModuleType:
    return generator("dreamer_files")


def test_samples_scores_and_leads(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    written = files.write_dreamer(tmp_path, synthetic)
    recordings = list(Dreamer(leads=(0, 1)).recordings(tmp_path))
    assert len(recordings) == len({(one.subject, one.session) for one in recordings}) == 2 * 18 * 2 * 2
    for recording in recordings:
        person, (session, _, lead) = int(recording.subject[-2:]), recording.session.partition(".")
        steps = written.ecg[person, session][:, int(lead or 1) - 1]
        np.testing.assert_allclose(recording.ecg_mv(), (steps - 2060.0) * MV_PER_STEP, atol=1e-12)
        # The beats that went into the converter come out of it, in millivolts.
        assert 0.8 < np.ptp(recording.ecg_mv()) < 2.0
        assert recording.fs_hz == 256
        (span,) = recording.spans
        assert (span.start_s, span.end_s) == (0.0, recording.duration_s)
        if session.startswith("clip"):
            valence, arousal, dominance = written.scores[person, int(session[-2:])]
            rated = {"valence": valence, "arousal": arousal, "dominance": dominance}
            assert span.values == {"condition": "clip", **rated}
        else:
            assert span.values == {"condition": "baseline"}
    assert [one.session for one in DREAMER.recordings(tmp_path)][:4] == [
        *("baseline01", "clip01", "baseline02", "clip02"),
    ]


def test_the_leads_by_the_channel_option(files: ModuleType, ramp: Any, tmp_path: Path) -> None:
    files.write_dreamer(tmp_path, ramp, 1)
    chosen = {channel: list(DREAMER.with_channel(channel).recordings(tmp_path)) for channel in "01"}
    both = list(DREAMER.with_channel("both").recordings(tmp_path))
    assert chosen["0"] == list(DREAMER.recordings(tmp_path)) == both[::2]
    assert chosen["1"] == both[1::2]
    assert chosen["1"][0].session == "baseline01.2"
    with pytest.raises(UsageError, match="no channel '2'") as caught:
        DREAMER.with_channel("2")
    assert "ECG 2" in caught.value.why


def test_millivolts_stay_as_they_are(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    ecg = np.stack([synthetic(3.0, 256, 70.0), 1000.0 * synthetic(3.0, 256, 70.0)], axis=1)

    def change(content: dict[str, Any]) -> None:
        content["Data"][0, 0]["ECG"]["stimuli"][4, 0] = ecg

    files.write_dreamer(tmp_path, synthetic, 1, change=change)
    found = {one.session: one for one in Dreamer(leads=(0, 1)).recordings(tmp_path)}
    np.testing.assert_array_equal(found["clip05"].ecg_mv(), ecg[:, 0])
    # Microvolts are told by their size.
    np.testing.assert_allclose(found["clip05.2"].ecg_mv(), ecg[:, 0], atol=1e-12)


def test_classes(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    written = files.write_dreamer(tmp_path, synthetic, clip_s=11.0, people=1)
    labeller = Labeller(DREAMER.rules())
    labeller.learn_means(DREAMER.recordings(tmp_path))
    mean_valence = np.mean([score[0] for score in written.scores.values()])
    for recording in DREAMER.recordings(tmp_path):
        labels = labeller.labels(recording, 1.0, 11.0)
        if recording.session.startswith("baseline"):
            assert labels == {}
            continue
        valence, arousal, _ = written.scores[1, int(recording.session[-2:])]
        assert labels["valence"] == int(valence >= 3)
        assert labels["arousal"] == int(arousal >= 3)
        assert labels["valence5"] == valence - 1
        assert labels["arousal5"] == arousal - 1
        assert labels["valence_mean"] == int(valence >= mean_valence)
        assert labeller.labels(recording, 2.0, 12.0) == {}


def test_the_file_is_read_once(
    files: ModuleType, synthetic: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = files.write_dreamer(tmp_path, synthetic)
    reads = []
    loadmat = scipy.io.loadmat
    monkeypatch.setattr(scipy.io, "loadmat", lambda *a, **k: reads.append(1) or loadmat(*a, **k))
    for recording in DREAMER.recordings(tmp_path):
        recording.ecg_mv()
    assert len(list(DREAMER.recordings(tmp_path))) == 72
    assert len(reads) == 1
    # A file that has changed is read again.
    recording = next(iter(DREAMER.recordings(tmp_path)))
    written.path.write_bytes(written.path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cut short"):
        recording.ecg_mv()
    assert reader._read.cache_info().maxsize == 1


def test_a_whole_file(files: ModuleType, ramp: Any, tmp_path: Path) -> None:
    files.write_dreamer(tmp_path, ramp, people=23, clip_s=1.5, baseline_s=1.0)
    report = DREAMER.check(tmp_path)
    assert report.complete
    assert (report.subjects, report.recordings) == (23, 23 * 36)
    assert report.minutes == pytest.approx(23 * 18 * 2.5 / 60)
    assert DREAMER.locate(tmp_path)[0] == DREAMER.locate(tmp_path / "DREAMER")[0]


def test_a_damaged_person_is_named_and_the_others_are_read(
    files: ModuleType, synthetic: Any, tmp_path: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        people = content["Data"][0]
        people[0].pop("ECG")
        people[1]["ECG"]["stimuli"] = people[1]["ECG"]["stimuli"][:-1]
        people[2]["ECG"]["baseline"][3, 0] = np.zeros((300, 1))
        people[3]["ScoreArousal"] = people[3]["ScoreArousal"][:5]
        people[4]["ECG"]["stimuli"][6, 0] = np.full((512, 2), np.nan)
        people[5]["ScoreValence"] = np.full((18, 1), np.nan)
        people[6]["ScoreValence"] = np.array([["good"]] * 18, dtype=object)

    files.write_dreamer(tmp_path, synthetic, people=7, change=change)
    report = DREAMER.check(tmp_path)
    assert set(report.damaged) == {f"dreamer/S{person:02} all" for person in (1, 2, 3, 4, 7)}
    assert "no field ECG" in report.damaged["dreamer/S01 all"]
    assert "(300, 1)" in report.damaged["dreamer/S03 all"]
    assert (report.recordings, report.unusable) == (72, 1)
    no_valence = [one for one in DREAMER.recordings(tmp_path) if one.subject == "dreamer/S06"]
    assert all("valence" not in one.spans[0].values for one in no_valence)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("noOfSubjects", 23.0, "holds 2 people and says 23"),
        ("ECG_SamplingRate", 128.0, "128 Hz"),
        ("noOfVideoSequences", "many", "number is expected"),
        ("Data", np.zeros((2, 2)), "no cell array"),
        ("Data", None, "Data"),
    ],
)
def test_a_structure_that_contradicts_itself(
    files: ModuleType, synthetic: Any, tmp_path: Path, field: str, value: Any, words: str
) -> None:
    def change(content: dict[str, Any]) -> None:
        content[field] = value
        if value is None:
            content.pop(field)

    files.write_dreamer(tmp_path, synthetic, change=change)
    with pytest.raises(DataError, match=words):
        list(DREAMER.recordings(tmp_path))
    assert words in DREAMER.check(tmp_path).damaged["DREAMER"]


@pytest.fixture(scope="session")
def whole_bytes(files: ModuleType, synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    written = files.write_dreamer(tmp_path_factory.mktemp("whole"), synthetic, 1, 0.2, 0.1)
    content: bytes = written.path.read_bytes()
    return content


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_cut_file_is_reported_at_any_length(
    whole_bytes: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    kept = data.draw(st.integers(0, len(whole_bytes) - 1))
    (folder / "DREAMER.mat").write_bytes(whole_bytes[:kept])
    assert DREAMER.check(folder).damaged


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_never_ends_in_a_traceback(
    whole_bytes: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    content = bytearray(whole_bytes)
    # Not in the free text of the first 116 bytes, which nobody reads.
    content[data.draw(st.integers(116, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "DREAMER.mat").write_bytes(content)
    DREAMER.check(folder)


def test_the_commands(
    files: ModuleType, synthetic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = files.write_dreamer(tmp_path, synthetic, clip_s=12.0, baseline_s=2.0)
    assert main(["data", "check", "dreamer", "--root", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["complete"], report["subjects"], report["recordings"]) == (True, 2, 72)
    store = tmp_path / "store"
    assert main(["data", "prepare", "dreamer", "--root", str(tmp_path), "-o", str(store), "--hop", "1"]) == 0
    opened = WindowStore.open(store)
    expected = [
        int(written.scores[int(subject[-2:]), int(session[-2:])][1] >= 3)
        for subject, session in zip(opened.subject, opened.session, strict=True)
    ]
    np.testing.assert_array_equal(opened.label("arousal"), expected)
    assert set(opened.subject) == {"dreamer/S01", "dreamer/S02"}
