"""Print the table of docs/devices.md: every virtual device with every fault, against the log of the truth.

    python benchmarks/fault_matrix.py [--json]

Nothing waits: fifty seconds of each take about one. Decisions are those of the model that comes along.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from dataclasses import asdict

from edge_ecg.model import Model, load_model
from edge_ecg.pipeline import Pipeline
from edge_ecg.sources.trials import Trial, hold, pairs
from edge_ecg_bridge.faults import FAULTS, Layer

# Why `reported` may differ from `harmed`, and where values may be wrong, by what proves a packet.
_REASONS = {
    "weak checksum": "CRC and sequence number have four bits each. Behind a hole the number says how long it "
    "is, so only the CRC speaks for a frame there, and one in sixteen made of two halves passes it: the "
    "frames beside a hole are given up, and reported.",
    "time": "There is no check sum. What stands beside a damaged packet is believed only when the next one "
    "counts on, and may be given up with it; a bit inverted within a value cannot be told from another "
    "value.",
    "nothing": "There is neither counter nor clock. What comes twice, swapped or not at all looks like any "
    "other stream: `reported` counts damaged bytes and pauses, and from an unseen loss on all places are "
    "off.",
}
_MARK = " ¹"
_BRIDGED_S = 0.04
_RIM_S = 1.0


def decisions(trial: Trial, model: Model) -> tuple[int, int]:
    """Count decisions, and those of them on a window that holds damage and does not say so."""
    decided = blind = 0
    rim_s = _RIM_S if any(plan.fault.layer is Layer.SIGNAL for plan in trial.faults) else 0.0
    for number, said in enumerate(trial.parts):
        assert said.ready is not None
        pipeline = Pipeline(model, said.ready.fs_hz)
        damaged = trial.damaged_s(number)
        for record in (record for block in trial.blocks(number) for record in pipeline.push(block)):
            if record.decision is None:
                continue
            decided += 1
            for begin_s, end_s in damaged:
                overlap_s = min(end_s, record.end_s) - max(begin_s, record.start_s)
                told = record.lost_samples and end_s - begin_s <= _BRIDGED_S
                blind += overlap_s > rim_s and not told
    return decided, blind


def row(trial: Trial, model: Model) -> dict[str, object]:
    total: dict[str, int] = {}
    for kept in trial.accounts:
        for key, value in asdict(kept).items():
            total[key] = (
                max(total.get(key, 0), value) if key == "packets_to_right" else total.get(key, 0) + value
            )
    decided, blind = decisions(trial, model)
    return {
        "device": trial.variant.name,
        "fault": trial.faults[0].name,
        "struck": trial.strikes,
        "lost": total["really_lost"] + total["altered"],
        "reported": total["reported_lost"],
        "beside": total["dropped_beside"],
        "wrong": total["wrong"],
        "right_after_packets": total["packets_to_right"],
        "decisions": decided,
        "decided_on_damage": blind,
        "sessions": len(trial.parts),
        "failed": any(said.failure is not None for said in trial.parts),
    }


_HEAD = (
    "Fault",
    "struck",
    "harmed",
    "reported",
    "beside",
    "wrong",
    "decisions",
    "on damage",
    "session",
)


_KEYS = ("struck", "lost", "reported", "beside", "wrong", "decisions", "decided_on_damage")


def print_reason(reason: str) -> None:
    if reason:
        print("\n" + textwrap.fill(f"¹ {reason}", 110))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    args = parser.parse_args()
    model = load_model()
    device = reason = ""
    for variant, fault in pairs():
        found = row(hold(variant, fault), model)
        if args.json:
            print(json.dumps(found), flush=True)
            continue
        if device != variant.name:
            print_reason(reason)
            device, reason = variant.name, ""
            print(f"\n**{device}** (what proves a packet: {variant.trusted})\n")
            print("| " + " | ".join(_HEAD) + " |\n|---|" + "--:|" * (len(_HEAD) - 2) + "---|")
        session = (
            "failed"
            if found["failed"]
            else f"goes on ({found['sessions']})"
            if found["sessions"] != 1
            else "goes on"
        )
        cells = [str(found[key]) for key in _KEYS]
        for key, strange in (("reported", found["reported"] != found["lost"]), ("wrong", found["wrong"])):
            if strange:
                cells[_KEYS.index(key)] += _MARK
                reason = _REASONS[variant.trusted]
        print("| " + " | ".join((f"`{fault}`", *cells, session)) + " |", flush=True)
    if not args.json:
        print_reason(reason)
    missing = set(FAULTS) - {fault for _, fault in pairs()}
    if missing:
        print(f"\nNo device here can have {', '.join(sorted(missing))}.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
