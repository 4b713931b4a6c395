"""The command as a user starts it: a process, its two streams and its exit code."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edge_ecg.cli
from edge_ecg.bundle import read_bundle, write_bundle

from .command import ENVIRONMENT, call, edge_ecg_command, records

FAST = "sim:shimmer3?speed=max"


def test_version() -> None:
    done = call("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"edge-ecg {edge_ecg.__version__}\n", "")


def test_help_lists_every_verb_and_the_first_thing_to_try() -> None:
    done = call("--help")
    assert done.returncode == 0
    assert all(f"\n    {verb} " in done.stdout for verb, row in edge_ecg.cli.VERBS.items() if not row.hidden)
    assert "edge-ecg run --demo" in done.stdout
    assert "not a medical device" in done.stdout


@pytest.mark.parametrize("verb", list(edge_ecg.cli.VERBS))
def test_every_verb_has_help_and_json(verb: str) -> None:
    done = call(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("frobnicate",),
        ("run", "--frobnicate"),
        ("run", "--hop", "0"),
        ("run", "--duration", "-3"),
        ("run", "--duration", "soon"),
        ("run", "--context", "nan"),
        ("run", "--demo", "--port", "sim:"),
        ("run", "--port", "warp:9"),
        ("run", "--engine", "warp"),
        ("run", "--demo", "--lsl", ""),
        ("simulate", "text", "--ble"),
        ("replay", "file:x.csv?speed=2"),
        ("bench", "--windows", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(
    arguments: tuple[str, ...], bundle_path: Path
) -> None:
    model = ("--model", bundle_path) if arguments and arguments[0] in ("run", "replay", "bench") else ()
    done = call(*arguments, *model)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    # What argparse says by itself when a number is wrong: the name of our function.
    assert "invalid seconds" not in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("flash", "pi", "--watch", "nan"), "'nan' is not a number above 0"),
        (("flash", "pi", "--max-latency-ms", "fast"), "'fast' is not a number above 0"),
        (("flash", "pi", "--max-failures", "1.5"), "'1.5' is not a whole number from 0 to 1000000"),
        (("flash", "pi", "--jobs", "0"), "'0' is not a whole number from 1 to 256"),
        (("device", "switch", "2", "--watch-s", "nan"), "'nan' is not a number from 0"),
        (("device", "journal", "--last", "0"), "'0' is not a whole number from 1 to 1000000"),
        (("device", "prune", "--spare", "-1"), "is not a whole number from 0"),
        (("bench", "--hops", "0"), "'0' is not a whole number from 1 to 1000000"),
    ],
)
def test_numbers_are_asked_for_in_words(words: tuple[str, ...], sentence: str) -> None:
    done = call(*words)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_run_prints_the_records_of_the_interface(bundle_path: Path) -> None:
    done = call("run", "--port", FAST, "--duration", 14, "--json", "--model", bundle_path)
    assert done.returncode == 0, done.stderr
    found = records(done.stdout)
    start, end = found[0], found[-1]
    decisions = [record for record in found if record["type"] == "decision"]
    assert (start["type"], start["schema"], start["fs_hz"], start["hop_s"]) == ("start", 1, 256.0, 1.0)
    assert start["model"] == read_bundle(bundle_path).name_at_sha
    assert start["engine"] == "litert-int8"
    assert [record["end_s"] for record in decisions] == [10.0, 11.0, 12.0, 13.0, 14.0]
    counted = ("decisions", "withheld", "lost_samples", "lost_10s", "lost_60s")
    assert [end[name] for name in counted] == [4, 1, 0, 0, 0]
    assert (end["type"], end["reason"]) == ("end", "duration")
    assert end["counters"]["samples_dropped"] == 0


@pytest.mark.parametrize("engine", ["litert", "onnx", "litert-fp32", "onnx-fp32"])
def test_every_engine_gives_the_same_labels(engine: str, bundle_path: Path) -> None:
    def labels(name: str) -> list[str | None]:
        done = call(
            "run", "--port", FAST, "--duration", 20, "--json", "--model", bundle_path, "--engine", name
        )
        assert done.returncode == 0, done.stderr
        found = [record for record in records(done.stdout) if record["type"] == "decision"]
        return [record["decision"] and record["decision"]["stress"]["label"] for record in found]

    assert labels(engine) == labels("auto")


def test_without_json_a_person_reads_lines(bundle_path: Path) -> None:
    done = call("run", "--port", FAST, "--duration", 12, "--model", bundle_path)
    assert done.returncode == 0, done.stderr
    assert "no decision: warming_up" in done.stdout
    assert "2 decisions, 1 withheld, no samples lost; ended: duration." in done.stdout


def test_what_was_recorded_is_decided_again_in_replay(bundle_path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept?.csv"
    live = call(
        *("run", "--port", FAST, "--duration", 25, "--json", "--model", bundle_path, "--record", kept)
    )
    assert live.returncode == 0, live.stderr
    assert f"{25 * 256} samples recorded in {kept}" in live.stderr
    again = call("replay", kept, "--json", "--model", bundle_path)
    assert again.returncode == 0, again.stderr

    def essence(text: str) -> list[dict[str, Any]]:
        volatile = ("time", "inference_ms", "latency_ms")
        kinds = [record for record in records(text) if record["type"] == "decision"]
        return [{key: value for key, value in record.items() if key not in volatile} for record in kinds]

    assert len(essence(live.stdout)) == 16
    assert essence(again.stdout) == essence(live.stdout)


def test_record_keeps_samples_without_a_model(tmp_path: Path) -> None:
    done = call("record", "--port", FAST, "--duration", 3, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    start, *_, end = records(done.stdout)
    assert (start["model"], start["engine"]) == (None, None)
    assert end["reason"] == "duration"
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("ecg-")
    assert len([line for line in kept.read_text().splitlines() if line[0].isdigit()]) == 3 * 256


def test_a_recording_that_exists_stops_before_anything_is_opened(bundle_path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    kept.write_text("precious")
    done = call("run", "--port", FAST, "--json", "--model", bundle_path, "--record", kept)
    assert (done.returncode, done.stdout) == (5, "")
    assert "never overwritten" in done.stderr
    assert kept.read_text() == "precious"


def test_a_port_that_is_missing_is_exit_code_3(bundle_path: Path, tmp_path: Path) -> None:
    done = call("run", "--port", tmp_path / "ttyUSB7", "--json", "--model", bundle_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", [("run", "--port", FAST, "--model"), ("verify",), ("inspect",)])
def test_a_damaged_bundle_is_exit_code_4(verb: tuple[str, ...], bundle_path: Path, tmp_path: Path) -> None:
    data = bytearray(bundle_path.read_bytes())
    data[len(data) // 2] ^= 1
    broken = tmp_path / "broken.ecgb"
    broken.write_bytes(data)
    done = call(*verb, broken)
    assert (done.returncode, done.stdout) == (4, "")
    what, why, remedy = done.stderr.splitlines()
    assert what.startswith(f"edge-ecg: {broken} is not an intact model bundle")
    assert why.startswith("  why: The checksum of ")
    assert remedy.startswith("  try: ")


def test_verify_and_inspect_as_text_and_json(bundle_path: Path) -> None:
    name = read_bundle(bundle_path).name_at_sha
    assert call("verify", bundle_path).stdout.startswith(f"{name}: intact. 8 files")
    (verified,) = records(call("verify", "--json", bundle_path).stdout)
    assert (verified["model"], verified["files"], verified["signed"]) == (name, 8, False)
    shown = call("inspect", bundle_path).stdout
    assert all(
        word in shown for word in (name, "rest / stress", "litert-int8", "encoder.int8.onnx", "329152")
    )
    (inspected,) = records(call("inspect", bundle_path, "--json").stdout)
    assert inspected["manifest"] == read_bundle(bundle_path).manifest.to_json()
    assert call("inspect", "--card", bundle_path).stdout == "# Untrained\n"


def test_inspect_tells_what_each_task_needs_and_how_well_it_does(bundle_path: Path, tmp_path: Path) -> None:
    bundle = read_bundle(bundle_path)
    task = replace(
        bundle.manifest.tasks["stress"],
        features=("heart_rate_bpm", "sdnn_ms"),
        personal_head="heads/stress.personal.npz",
        personal_features=("heart_rate_z",),
        context_s=30.0,
    )
    auc = {"value": 0.95, "low": 0.9, "high": None}
    row = {"system": "ours", "protocol": "leave-one-subject-out", "baseline_s": 0.0, "context_s": 0.0}
    rows = [
        {**row, "metrics": {"auc": auc}},
        {**row, "baseline_s": 60.0, "context_s": 30.0, "metrics": {"auc": {**auc, "value": 0.97}}},
        {**row, "protocol": "random-windows", "metrics": {"auc": {**auc, "value": 0.111}}},
        {**row, "system": "heart", "metrics": {"auc": {**auc, "value": 0.222}}},
    ]
    measured = {
        "schema": 2,
        "people": 28,
        "system": "ours",
        "rows": rows,
        "leaks": {"checks": 25, "failed": 1},
    }
    other = tmp_path / "other.ecgb"
    for card, line in (
        (
            {"schema": 2, "tasks": {"stress": measured}},
            "card        stress: AUC on 28 new people: 0.950 [0.900, -] alone, 0.970 [0.900, -] 60 s baseline"
            " + 30 s context; 1 of 25 leak checks FAILED",
        ),
        ({"auc": 0.9}, None),
        ({"tasks": {"stress": {"schema": 2, "rows": "none"}}}, None),
    ):
        manifest = replace(bundle.manifest, tasks={"stress": task}, card=card)
        heads = {"heads/stress.personal.npz": bundle.contents[task.head]}
        write_bundle(other, manifest, {**bundle.contents, **heads})
        shown = call("inspect", other)
        lines = shown.stdout.splitlines()
        assert (
            "task        stress: rest / stress; features heart_rate_bpm, sdnn_ms; personal head yes "
            "(heart_rate_z); context 30 s; silent below a confidence of 0.5"
        ) in lines
        assert [one for one in lines if one.startswith("card ")] == ([line] if line else []), shown.stderr
    plain = call("inspect", bundle_path).stdout
    assert "rest / stress; features none; personal head no; no context;" in plain


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_with_the_totals_and_keeps_the_recording(
    number: signal.Signals, bundle_path: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.csv"
    command = edge_ecg_command(
        *("run", "--port", "sim:shimmer3?speed=50", "--json", "--model", bundle_path, "--record", kept)
    )
    talk = tmp_path / "stderr"
    with (
        talk.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(5)]
        process.send_signal(number)
        # Not communicate(): it would miss what readline() has buffered.
        found = records("".join(lines) + process.stdout.read())
    errors = talk.read_text()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert found[-1]["type"] == "end"
    assert found[-1]["reason"] == "interrupted"
    given = [record for record in found if record["type"] == "decision" and record["decision"]]
    assert found[-1]["decisions"] == len(given)
    again = call("replay", kept, "--json", "--model", bundle_path)
    assert again.returncode == 0, again.stderr
    assert len(records(again.stdout)) >= len(found) - 2


def test_an_ignored_hangup_stays_ignored(bundle_path: Path) -> None:
    """As under nohup: the session goes on to its end."""
    command = edge_ecg_command(
        "run", "--port", "sim:shimmer3?speed=50", "--duration", 60, "--json", "--model", bundle_path
    )
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        found = records(process.stdout.read())
    assert process.returncode == 0
    assert found[-1]["reason"] == "duration"


def test_a_reader_that_leaves_is_no_error(bundle_path: Path) -> None:
    command = edge_ecg_command("run", "--port", FAST, "--duration", 600, "--json", "--model", bundle_path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 0
    assert "Traceback" not in errors
    assert "Broken" not in errors


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_stdout_is_exit_code_5_without_a_traceback(unbuffered: str) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("w") as stdout:
        done = subprocess.run(
            edge_ecg_command("simulate", "--list-faults"),
            stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60,
            env={**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.returncode == 5
    assert done.stderr.startswith("edge-ecg: What was to be printed cannot be written.\n  why: No space left")
    assert "Traceback" not in done.stderr


def test_streams_that_were_closed_before_the_start_lead_nowhere(tmp_path: Path) -> None:
    """As some supervisors do it. No file takes their numbers, and talk does not go among the data."""
    path = tmp_path / "kept.csv"
    command = edge_ecg_command("record", "--port", FAST, "--duration", 2, "--json", "--record", path)
    for closed in ("<&- >&- 2>&-", "2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'"$@" {closed}', "sh", *command],
            capture_output=True, text=True, timeout=60, env=ENVIRONMENT,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert [record["type"] for record in records(done.stdout)] in ([], ["start", "event", "end"])
        assert path.read_text().count("\n") == 6 + 512
        path.unlink()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_the_encoding_of_stdout_lacks_is_escaped(form: tuple[str, ...], tmp_path: Path) -> None:
    """A Latin terminal, or LC_ALL=C; the escapes are those of JSON."""
    path = tmp_path / "rest.csv"
    path.write_text("t_s,ecg_mv\n" + "".join(f"{n / 250},0.1\n" for n in range(500)))
    (tmp_path / "rest.marks.csv").write_text(
        "t_s,label\n0.5,\u00dcbung \u65e5 \U0001f600\n", encoding="utf-8"
    )
    done = subprocess.run(
        edge_ecg_command("replay", path, *form),
        capture_output=True, text=True, timeout=60, env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert r"\u00dcbung \u65e5 \ud83d\ude00" in done.stdout
    if form:
        (mark,) = [one for one in records(done.stdout) if one.get("event") == "marker"]
        assert mark["text"] == "\u00dcbung \u65e5 \U0001f600"


def test_each_line_is_there_at_once(bundle_path: Path) -> None:
    """Nothing waits in a buffer: the start record arrives long before the session is over."""
    command = edge_ecg_command("run", "--port", "sim:shimmer3", "--json", "--model", bundle_path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 30)[0]
        assert json.loads(process.stdout.readline())["type"] == "start"
        process.terminate()
        process.stdout.read()


def test_running_imports_no_workstation_package(bundle_path: Path) -> None:
    program = (
        "import sys; from edge_ecg.cli import main; "
        "code = main(sys.argv[1:]); "
        "print(code, *sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    arguments = ["run", "--port", FAST, "--duration", "12", "--json", "--model", str(bundle_path)]
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    code, *modules = done.stderr.split()
    assert code == "0"
    assert "edge_ecg" in modules
    heavy = {"torch", "scipy", "sklearn", "pandas", "onnx", "onnxruntime", "wfdb", "h5py", "bleak", "rich"}
    assert not heavy & set(modules)


def test_importing_the_package_is_light() -> None:
    program = "import sys, edge_ecg; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    heavy = {
        "numpy",
        "torch",
        "scipy",
        "rich",
        "serial",
        "samplerate",
        "bleak",
        "ai_edge_litert",
        "onnxruntime",
    }
    assert not heavy & set(done.stdout.split())


def test_public_names_are_what_is_there() -> None:
    assert len(set(edge_ecg.__all__)) == len(edge_ecg.__all__)
    assert dir(edge_ecg) == sorted(edge_ecg.__all__)
    for name in edge_ecg.__all__:
        assert getattr(edge_ecg, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        edge_ecg.nonsense  # noqa: B018


def test_a_source_that_fails_in_mid_run_keeps_what_it_gave(bundle_path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    assert call("record", "--port", FAST, "--duration", 15, "--record", kept).returncode == 0
    lines = kept.read_text().splitlines(keepends=True)
    damaged = tmp_path / "damaged.csv"
    damaged.write_text("".join(lines[: 13 * 256] + lines[100:]))  # its sample numbers run backwards
    again = tmp_path / "again.csv"
    port = f"file:{damaged}?speed=max"
    done = call("run", "--port", port, "--json", "--model", bundle_path, "--record", again)
    assert done.returncode == 5
    assert "runs backwards" in done.stderr
    assert "Traceback" not in done.stderr
    found = records(done.stdout)
    assert [record["type"] for record in found[-2:]] == ["event", "end"]
    assert "runs backwards" in found[-1]["reason"]
    assert found[-1]["decisions"] >= 1
    assert len(again.read_text().splitlines()) > 11 * 256
