"""Clients that others wrote for the Polar H10 stream from ours: it speaks what they expect of a strap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from edge_ecg.sources.radio_loop import radio_loop
from edge_ecg_bridge.emulators import PolarEmulator, Reservoir
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=3)
FRAMES = 8
LIMIT_S = 20.0


def expected_uv(n: int) -> np.ndarray:
    return np.rint(1000 * Reservoir(ECG(130.0)).take(n))


def check_frames(stamps_ns: list[int], frames: list[list[int]]) -> None:
    samples = np.concatenate(frames)
    np.testing.assert_array_equal(samples, expected_uv(len(samples)))
    np.testing.assert_allclose(np.diff(stamps_ns), 73 / 130 * 1e9, rtol=1e-6)


def test_bleakheart(air: Callable, look_for: Callable) -> None:
    bleakheart = pytest.importorskip("bleakheart", reason="pip install bleakheart")
    from bleak import BleakClient

    strap = PolarEmulator(ECG)
    air(strap)

    async def stream() -> tuple[list, dict, list]:
        queue: asyncio.Queue = asyncio.Queue()
        async with asyncio.timeout(LIMIT_S), BleakClient(device) as client:
            reader = bleakheart.PolarMeasurementData(client, ecg_queue=queue, acc_queue=queue)
            assert await reader.available_measurements() == ["ECG", "ACC"]
            offered = await reader.available_settings("ACC")
            assert (await reader.start_streaming("ECG"))[0] == 0
            assert (await reader.start_streaming("ECG"))[1] == "ALREADY IN STATE"
            assert (await reader.start_streaming("ACC", sample_rate=100, range=4))[0] == 0
            got: list = []
            while sum(kind == "ECG" for kind, *_ in got) < FRAMES:
                got.append(await queue.get())
            assert (await reader.stop_streaming("ECG"))[0] == 0
            assert (await reader.stop_streaming("ACC"))[0] == 0
            beats: asyncio.Queue = asyncio.Queue()
            heart = bleakheart.HeartRate(client, queue=beats)
            await heart.start_notify()
            return got, dict(offered), list(await beats.get())

    device = look_for("Polar H10 12345678")
    got, offered, beat = radio_loop().run(stream(), LIMIT_S)
    assert offered["SAMPLE_RATE"] == [200, 100, 50, 25]
    check_frames(
        [stamp for kind, stamp, _ in got if kind == "ECG"], [data for kind, _, data in got if kind == "ECG"]
    )
    moved = [sample for kind, _, data in got if kind == "ACC" for sample in data]
    assert {y for _, y, _ in moved} == {1000}
    assert beat[0] == "HR"
    assert beat[2][0] == 72
    assert not strap.running


def test_polar_python(air: Callable, look_for: Callable) -> None:
    polar_python = pytest.importorskip("polar_python", reason="pip install polar-python")
    from polar_python.constants import PmdMeasurementType

    strap = PolarEmulator(ECG)
    air(strap)

    async def stream() -> tuple[list, list]:
        frames: list = []
        moved: list = []
        enough = asyncio.Event()

        def take(frame: object) -> None:
            frames.append(frame)
            if len(frames) >= FRAMES:
                enough.set()

        async with asyncio.timeout(LIMIT_S), polar_python.PolarDevice(device) as polar:
            assert await polar.get_available_features() == [PmdMeasurementType.ECG, PmdMeasurementType.ACC]
            await polar.request_stream_settings(PmdMeasurementType.ECG)
            await polar.start_ecg_stream(take, sample_rate=130, resolution=14)
            await polar.start_acc_stream(moved.append, sample_rate=200, resolution=16, range=2)
            await enough.wait()
            await polar.stop_ecg_stream()
            await polar.stop_acc_stream()
        return frames, moved

    device = look_for("Polar H10 12345678")
    frames, moved = radio_loop().run(stream(), LIMIT_S)
    check_frames([frame.timestamp for frame in frames], [frame.data for frame in frames])
    assert {y for frame in moved for _, y, _ in frame.data} == {1000}
    assert not strap.running
