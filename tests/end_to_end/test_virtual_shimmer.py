"""A recording through a virtual Shimmer's own bytes, on a real pty, to decisions: as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import neurokit2
import numpy as np
import pytest

EDGE_ECG = [sys.executable, "-m", "edge_ecg"]
KEY = "S01_rest"
DURATION_S = 60


@pytest.fixture(scope="module")
def recording(data_root: Path) -> str:
    return f"file:{data_root}/eegmat-ecg/ecg_500hz_int16.npz?key={KEY}"


@contextmanager
def virtual_shimmer(recording: str, link: Path) -> Iterator[None]:
    command = [*EDGE_ECG, "simulate", "shimmer3", "--from", recording, "--pty", str(link), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert json.loads(first), "it says where it can be opened before anything else"
        try:
            yield
        finally:
            process.terminate()


def records(arguments: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [*EDGE_ECG, "run", "--json", *arguments], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def decisions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["type"] == "decision"]


def labels(rows: list[dict[str, Any]]) -> list[str | None]:
    return [row["decision"] and row["decision"]["stress"]["label"] for row in decisions(rows)]


def own_heart_rate(data_root: Path) -> float:
    """Beats a minute of the recording's first minute, by an independent detector at the original rate."""
    with np.load(data_root / "eegmat-ecg" / "ecg_500hz_int16.npz") as arrays:
        ecg = arrays[KEY][: 500 * DURATION_S].astype(float)
    clean = neurokit2.ecg_clean(ecg, sampling_rate=500)
    peaks = neurokit2.ecg_peaks(clean, sampling_rate=500)[1]["ECG_R_Peaks"]
    return float(60 * 500 / np.median(np.diff(peaks)))


def test_a_virtual_shimmer_in_process_decides_like_the_file(recording: str) -> None:
    through_bytes = records(["--port", f"sim:shimmer3?speed=max&from={recording}", "--duration", "60"])
    from_file = records(["--port", f"{recording}&speed=max", "--duration", "60"])
    assert labels(through_bytes) == labels(from_file)
    assert any(labels(from_file))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a pty is a POSIX thing")
def test_a_virtual_shimmer_on_a_pty_decides_like_the_file(
    recording: str, data_root: Path, tmp_path: Path
) -> None:
    engines = ("litert", "onnx")
    live = {}
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        for engine in engines:
            link = tmp_path / engine
            stack.enter_context(virtual_shimmer(recording, link))
            arguments = ["--port", str(link), "--duration", str(DURATION_S), "--engine", engine]
            live[engine] = pool.submit(records, arguments)
        rows, through_onnx = (live[engine].result() for engine in engines)
    assert rows[0]["type"] == "start"
    assert rows[0]["fs_hz"] == 256.0
    assert rows[-1]["type"] == "end"
    assert rows[-1]["lost_samples"] == 0
    assert [row["end_s"] for row in decisions(rows)] == [float(s) for s in range(10, DURATION_S + 1)]
    # A 10 s window holds a dozen beats: one may leave the minute's median, their middle may not.
    rates = [row["heart_rate_bpm"] for row in decisions(rows) if row["heart_rate_bpm"] is not None]
    assert abs(float(np.median(rates)) - own_heart_rate(data_root)) <= 2.0
    assert labels(rows) == labels(through_onnx)

    from_file = records(["--port", f"{recording}&speed=max", "--duration", str(DURATION_S)])
    assert labels(rows) == labels(from_file)
    probabilities = [
        [row["decision"]["stress"]["probabilities"]["stress"] for row in decisions(each) if row["decision"]]
        for each in (rows, from_file)
    ]
    # One step of the Shimmer's converter is 72 nV; int8 may turn that into one step of an embedding.
    assert np.allclose(*probabilities, atol=0.05)
