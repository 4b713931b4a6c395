"""``edge-ecg bench`` as a user starts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edge_ecg.cli
from edge_ecg.bundle import Golden, read_bundle, write_bundle

from .command import call, records


def test_bench_measures_every_engine_after_checking_it(bundle_path: Path) -> None:
    done = call(
        *(
            "bench",
            "--model",
            bundle_path,
            "--windows",
            5,
            "--warm-up",
            1,
            "--hops",
            1,
            "--duty",
            1,
            "--json",
        ),
        *("--starts", 1),
    )
    assert done.returncode == 0, done.stderr
    (report,) = records(done.stdout)
    assert report["type"] == "bench_report"
    rows = report["engines"]
    assert [row["engine"] for row in rows] == list(read_bundle(bundle_path).manifest.engines)
    for row in rows:
        latency, cold = row["latency"], row["cold_start"]
        assert 0 < latency["p50_ms"] <= latency["p90_ms"] <= latency["p95_ms"] <= latency["p99_ms"]
        assert latency["p99_ms"] <= latency["max_ms"]
        assert 0 < cold["loaded_s"] <= cold["first_decision_s"]
        assert 0 < cold["rss_mb"] <= cold["peak_rss_mb"]
        assert row["golden"]["min_cosine"] > 0.9999
        assert row["golden"]["decisions_equal"] is True
        assert row["end_to_end"]["hop"]["windows"] == row["duty"]["hop"]["windows"] == 1


def test_bench_compares_saved_reports(
    bundle_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "here.json"
    done = call(
        *("bench", "--model", bundle_path, "--windows", 3, "--warm-up", 1, "--hops", 1, "--save", kept),
        *("--engine", "onnx-int8", "--starts", 1),
    )
    assert done.returncode == 0, done.stderr
    assert len(json.loads(kept.read_text())["engines"][0]["samples_ms"]) == 3
    assert edge_ecg.cli.main(["bench", "--compare", str(kept), str(kept), "--json"]) == 0
    (both,) = records(capsys.readouterr().out)
    assert both["engines"][0]["ratios"]["encoder p50"] == 1.0
    assert edge_ecg.cli.main(["bench", "--compare", str(kept), str(kept)]) == 0
    assert "B / A" in capsys.readouterr().out
    for words in ([], 3 * [str(kept)], [str(kept), str(kept), "--on", "pi"]):
        assert edge_ecg.cli.main(["bench", "--compare", *words]) == 2
        assert "Two sides are compared." in capsys.readouterr().err
    kept.write_text("{}")
    assert edge_ecg.cli.main(["bench", "--compare", str(kept), str(kept)]) == 5
    assert "is no report" in capsys.readouterr().err


def test_bench_refuses_a_model_that_computes_something_else(bundle_path: Path, tmp_path: Path) -> None:
    """Every hash holds; only the golden windows can tell."""
    bundle = read_bundle(bundle_path)
    good = Golden.from_bundle(bundle)
    shuffled = {name: values[::-1] for name, values in good.embeddings.items()}
    golden = Golden(good.windows, shuffled, good.probabilities).to_bytes()
    other = tmp_path / "other.ecgb"
    write_bundle(other, bundle.manifest, {**bundle.contents, "golden.npz": golden})
    done = call("bench", "--model", other, "--json")
    assert (done.returncode, done.stdout) == (6, "")
    assert "does not compute the right thing" in done.stderr


def test_an_empty_host_is_not_this_machine() -> None:
    done = call("bench", "--on", "")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'' is no host" in done.stderr
