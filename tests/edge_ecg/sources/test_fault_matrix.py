"""Every virtual device with every fault: what was lost is what was reported, and nothing is decided on it."""

from __future__ import annotations

import pytest

from edge_ecg.model import Model
from edge_ecg.pipeline import Pipeline
from edge_ecg.sources.trials import Trial, Variant, hold, pairs, variants
from edge_ecg.sources.virtual import VIRTUAL_KINDS, faults_of
from edge_ecg_bridge.faults import FAULTS, Layer

PAIRS = pairs()
# The others of the same families are slow only because there are many of them.
ALWAYS = ("shimmer3", "polar-h10", "framed")
MARKED = [pytest.param(*pair, marks=[] if pair[0].name in ALWAYS else pytest.mark.slow) for pair in PAIRS]
# A gap this short may be drawn over, and the decision says so.
BRIDGED_S = 0.04
# Where four bits are all that proves a frame, one is believed only with whole ones around it: so many whole
# frames are given up, and reported, beside each damaged place.
WEAK_BESIDE = 4
# What quality may overlook at the rim of a window.
RIM_S = 1.0


def name(value: object) -> str:
    return value.name.replace(" ", "_") if isinstance(value, Variant) else str(value)


def test_the_matrix_leaves_no_kind_and_no_fault_out() -> None:
    assert {variant.kind for variant in variants()} == set(VIRTUAL_KINDS)
    radio = any(kind.radio for kind in VIRTUAL_KINDS.values())
    tried = {fault for _, fault in PAIRS}
    assert tried == {name for name, fault in FAULTS.items() if radio or fault.layer is not Layer.RADIO}
    for kind in VIRTUAL_KINDS:
        assert len(faults_of(kind)) >= len(FAULTS) - 5


@pytest.mark.parametrize(("variant", "fault"), MARKED, ids=name)
def test_what_is_lost_is_what_is_reported(variant: Variant, fault: str, model: Model) -> None:
    trial = hold(variant, fault, until_s=31.0)
    assert trial.strikes >= 1
    away = fault in ("unplug", "ble-drop", "stale-bluez")
    assert len(trial.parts) == (2 if away else 1), "the session goes on"
    for part, kept in zip(trial.parts, trial.accounts, strict=True):
        assert part.failure is None
        assert kept.delivered > 500
        if variant.trusted == "nothing":
            continue
        assert kept.packets_to_right <= 2
        missing = int(part.numbers[-1] - part.numbers[0]) + 1 - kept.delivered
        assert kept.reported_lost == missing
        if variant.trusted == "checksum":
            assert kept.wrong == 0
            assert kept.dropped_beside == 0
            assert kept.reported_lost == kept.really_lost + kept.altered
        elif variant.trusted == "weak checksum":
            assert kept.wrong == 0
            assert kept.dropped_beside <= WEAK_BESIDE * trial.strikes
            assert kept.reported_lost == kept.really_lost + kept.altered + kept.dropped_beside
        else:
            assert kept.wrong <= kept.altered
            assert kept.reported_lost <= kept.really_lost + kept.altered + kept.dropped_beside
            assert kept.reported_lost >= kept.really_lost
    if variant.trusted != "nothing":
        nothing_is_decided_on_damage(trial, model)


def nothing_is_decided_on_damage(trial: Trial, model: Model) -> None:
    decided = 0
    for number, said in enumerate(trial.parts):
        assert said.ready is not None
        pipeline = Pipeline(model, said.ready.fs_hz)
        records = [record for block in trial.blocks(number) for record in pipeline.push(block)]
        rim_s = RIM_S if any(plan.fault.layer is Layer.SIGNAL for plan in trial.faults) else 0.0
        for record in records:
            if record.decision is None:
                continue
            decided += 1
            for begin_s, end_s in trial.damaged_s(number):
                overlap_s = min(end_s, record.end_s) - max(begin_s, record.start_s)
                if overlap_s > rim_s:
                    assert record.lost_samples, (record.start_s, record.end_s, begin_s, end_s)
                    assert end_s - begin_s <= BRIDGED_S
    assert decided, "where nothing is wrong there are decisions"


def test_several_faults_at_once() -> None:
    trial = hold(VARIANT, "bit-flip@4,duplicate@8,stall@12:1,trickle@0,reorder@16", until_s=24.0)
    kept = trial.accounts[0]
    assert kept.altered == 1
    assert kept.really_lost == 256 + 1
    assert kept.reported_lost == 256 + 2
    assert kept.wrong == kept.dropped_beside == 0


VARIANT = Variant("shimmer3")


def test_a_fault_that_is_hidden_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account itself must see a session that keeps a loss to itself."""
    from edge_ecg_bridge.shimmer3 import packets

    honest = packets.PacketRun

    def hiding(rows: object, first: int, gap_before: int) -> object:
        return honest(rows, first, 0)  # type: ignore[arg-type]

    monkeypatch.setattr(packets, "PacketRun", hiding)
    monkeypatch.setattr("edge_ecg_bridge.shimmer3.session.PacketRun", honest)
    trial = hold(VARIANT, "stall@6:1", until_s=12.0)
    kept = trial.accounts[0]
    assert kept.really_lost == 256
    assert kept.reported_lost == 0
