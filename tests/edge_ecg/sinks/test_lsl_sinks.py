"""``--lsl``: samples and records in the network, and nothing there where nobody asked for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.records import DecisionRecord, EventRecord, StartRecord
from edge_ecg.sinks.several import BlockSinks, Sinks
from edge_ecg.sources import open_source
from edge_ecg.sources.lsl_link import load_pylsl

try:
    import pylsl
except (ImportError, RuntimeError):
    pylsl = None
needs_lsl = pytest.mark.skipif(pylsl is None, reason="pylsl or liblsl is not installed")

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


class Notebook:
    """A sink of records, and of blocks and marks, that notes what it is given."""

    def __init__(self, log: list[Any], name: str) -> None:
        self._log, self._name = log, name

    def write(self, item: Any) -> None:
        self._log.append((self._name, item))

    def mark(self, at_s: float, text: str) -> None:
        self._log.append((self._name, at_s, text))

    def close(self) -> None:
        self._log.append((self._name, "closed"))


def test_all_are_given_all_in_their_order() -> None:
    log: list[Any] = []
    records = Sinks(Notebook(log, "a"), Notebook(log, "b"))
    records.write("x")  # type: ignore[arg-type]
    records.close()
    blocks = BlockSinks(Notebook(log, "c"), Notebook(log, "d"))
    blocks.write("y")  # type: ignore[arg-type]
    blocks.mark(2.0, "stress")
    assert log == [
        *[("a", "x"), ("b", "x"), ("a", "closed"), ("b", "closed")],
        *[("c", "y"), ("d", "y"), ("c", 2.0, "stress"), ("d", 2.0, "stress")],
    ]


@needs_lsl
def test_the_network_is_not_told_the_name_of_a_file(tmp_path: Path) -> None:
    from edge_ecg.cli.streaming import _lsl_outlet, _lsl_records

    path = tmp_path / "Anna Berg.csv"
    path.write_text("# fs_hz: 250\nt_s,ecg_mv\n" + "".join(f"{n / 250},0.1\n" for n in range(500)))
    with ExitStack() as stack:
        source = stack.enter_context(open_source(f"file:{path}?speed=max"))
        samples: Any = _lsl_outlet(stack, source, f"Nameless {os.getpid()}")
        records: Any = _lsl_records(source, f"Nameless {os.getpid()}")
        stack.callback(records.close)
        seen = samples._outlet.get_info().as_xml() + records._outlet.get_info().as_xml()
    assert "file:*.csv" in seen
    assert "Anna" not in seen


@needs_lsl
def test_decisions_and_events_travel_as_text_with_their_own_moment() -> None:
    from edge_ecg.sinks.lsl_records import LslRecords

    name = f"Records {os.getpid()}"
    sink = LslRecords(name, "sim:", lambda: NOON + timedelta(seconds=3))
    (info,) = load_pylsl().resolve_byprop("name", name, 1, 10.0)
    reader = pylsl.StreamInlet(info)
    reader.open_stream(10.0)
    decision = DecisionRecord(0, 0.0, 10.0, NOON, None, ("gap",), 0.0, None, 3, None, None)
    event = EventRecord("marker", NOON, 4.0, {"text": "Übung"})
    before_s = pylsl.local_clock()
    for record in (StartRecord("sim:", "sim", 256.0, None, None, 1.0), decision, event):
        sink.write(record)
    for expected in (decision, event):
        sample, stamp = reader.pull_sample(timeout=10.0)
        assert json.loads(sample[0]) == expected.to_json()
        assert stamp + 3.0 == pytest.approx(before_s, abs=1.0)
    assert reader.info(5.0).type() == "Markers"
    sink.close()


@needs_lsl
@pytest.mark.slow
def test_the_command_offers_both_streams_while_it_runs() -> None:
    name = f"Demo {os.getpid()}"
    command = [sys.executable, "-m", "edge_ecg", "run", "--port", "sim:shimmer3?speed=2", "--json"]
    with subprocess.Popen(
        [*command, "--lsl", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            inlets = {}
            for which in (name, f"{name} records"):
                (info,) = load_pylsl().resolve_byprop("name", which, 1, 60.0)
                inlets[which] = pylsl.StreamInlet(info)
                inlets[which].open_stream(10.0)
            assert (inlets[name].info(5.0).type(), inlets[name].info(5.0).nominal_srate()) == ("ECG", 256.0)
            seen, record, end_s = 0, None, time.monotonic() + 60.0
            while (seen < 1000 or record is None) and time.monotonic() < end_s:
                samples, stamps = inlets[name].pull_chunk(timeout=0.5)
                assert stamps == sorted(stamps)
                seen += len(samples)
                text, _ = inlets[f"{name} records"].pull_sample(timeout=0.0)
                record = record if text is None else json.loads(text[0])
            assert record is not None
            assert record["type"] == "decision"
            printed = [json.loads(process.stdout.readline()) for _ in range(3)]  # type: ignore[union-attr]
            assert printed[0]["type"] == "start"
        finally:
            process.terminate()


def test_without_pylsl_the_option_says_what_to_install_before_anything_is_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_ecg.cli import main

    monkeypatch.setitem(sys.modules, "pylsl", None)
    assert main(["run", "--port", "/dev/no-such-port", "--lsl", "mine"]) == 3
    assert "pip install 'edge-ecg[lsl]'" in capsys.readouterr().err
