"""The whole way from a device's bytes to a line: what is counted, what is not, and at which pace."""

from __future__ import annotations

import pytest

from edge_ecg.bench.end_to_end import Meter, MeteredTransport, at_duty_cycle, end_to_end
from edge_ecg.model import Model, load_model
from edge_ecg.sources.simulated import VirtualTransport
from edge_ecg.sources.virtual import VirtualDevice, synthetic_signal


@pytest.fixture(scope="module")
def models(bundle_path: object) -> dict[str, Model]:
    return {name: load_model(str(bundle_path), name) for name in ("litert-int8", "onnx-int8")}


def test_back_to_back(models: dict[str, Model]) -> None:
    hops = []
    found = end_to_end(models, hops=4, after_hop=lambda: hops.append(1))
    assert len(hops) == 5  # the first is not counted
    assert set(found) == set(models)
    for one in found.values():
        assert one.hop.windows == one.after_last_byte.windows == one.model.windows == 4
        # The model is a part of what comes after the last byte, which is a part of the hop's work.
        whole = zip(one.hop.samples_ms, one.after_last_byte.samples_ms, one.model.samples_ms, strict=True)
        assert all(hop > late > model > 0 for hop, late, model in whole)
        assert one.busy == pytest.approx(sum(one.hop.samples_ms) / 1e3 / 4)


def test_in_real_time_only_faster(models: dict[str, Model]) -> None:
    found = at_duty_cycle(models["litert-int8"], hops=2, pace=200.0)
    assert found.hop.windows == 2
    assert found.hop_s == 1.0


def test_a_meter_stands_while_others_work() -> None:
    now = 0.0
    meter = Meter(lambda: now)
    meter.go()
    now = 2.0
    assert meter.busy_s == 2.0
    meter.halt()
    now = 10.0
    assert meter.busy_s == 2.0
    meter.go()
    now = 11.0
    meter.halt()
    assert meter.busy_s == 3.0


@pytest.mark.parametrize("pace", [None, 1.0, 4.0])
def test_bytes_come_no_sooner_than_they_are_due(pace: float | None) -> None:
    now, slept = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    device = VirtualTransport(VirtualDevice("text", synthetic_signal("rest", None, 0)).build(), speed=0.0)
    meter = Meter(lambda: now)
    transport = MeteredTransport(device, meter, clock=lambda: now, sleep=sleep)
    meter.go()
    while device.now() < 2.0:
        transport.read(0.25, 0.25)
    assert now == 0.0
    begin_s = device.now()
    if pace is not None:
        transport.slow_down(pace)
    while device.now() < 4.0:
        transport.read(0.25, 0.25)
        if pace is not None:
            assert now == pytest.approx((device.now() - begin_s) / pace)
    assert bool(slept) is (pace is not None)
    assert meter.busy_s == 0.0  # neither the device's work nor the waiting counts
