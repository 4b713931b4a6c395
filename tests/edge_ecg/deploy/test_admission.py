"""What may run on this device: real engines in real processes, and processes that really die."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ecg.bundle import Bundle, Golden, Manifest, PublicKey, read_bundle, write_bundle
from edge_ecg.deploy import Home, Release, Releases
from edge_ecg.deploy.admission import MAX_LATENCY_MS, admit, configured_engine
from edge_ecg.deploy.proving import ABSENT, FAILED, PASSED, Proof, chosen, prove
from edge_ecg.errors import BundleError, DataError, GateError, UsageError

from .tiny import NOW, at, tiny_bundle

PYTHON = Path(sys.executable)


def proof(engine: str, outcome: str = PASSED, why: str = "", p90_ms: float = 5.0) -> Proof:
    return Proof(engine, outcome, "package 1.0", why, {"p90_ms": p90_ms, "golden_windows": 4})


@pytest.fixture
def take(home: Home, bundles: Path) -> Callable[..., Release]:
    """``take(minor, proofs...)``: admit bundle 0.MINOR.0, whose engines came out like that."""

    def admitted(minor: int = 1, *proofs: Proof, path: Path | None = None, **more: Any) -> Release:
        found = {one.engine: one for one in proofs or (proof("litert-int8"),)}
        more = {"clock": lambda: NOW, "emulated": lambda: None, "runtime_id": "one"} | more
        return admit(home, path or bundles / f"{minor}.ecgb", prover=lambda *_: found, **more)

    return admitted


Take = Callable[..., Release]


def steps(home: Home) -> list[tuple[str, str | None]]:
    return [(entry.step, entry.more.get("reason")) for entry in at(home).journal.entries()]


def test_a_bundle_in_all_engines_that_run_here(home: Home, bundle_path: Path) -> None:
    """Real: four engines in four processes of this Python."""
    release = admit(home, bundle_path, runtime_id=None, clock=lambda: NOW, emulated=lambda: None)
    assert release.runtime == sys.prefix
    assert release.admitted["engine"] == "litert-int8"
    engines = release.admitted["engines"]
    assert list(engines) == ["litert-int8", "onnx-int8", "litert-fp32", "onnx-fp32"]
    for found in engines.values():
        assert found["outcome"] == PASSED
        assert found["golden_windows"] == 4
        assert 0 < found["p50_ms"] <= found["p90_ms"]
    assert engines["litert-int8"]["package"].startswith("ai-edge-litert ")
    assert engines["onnx-int8"]["package"].startswith("onnxruntime ")
    assert release.admitted["latency"] == {
        "limit_ms": MAX_LATENCY_MS, "p90_ms": engines["litert-int8"]["p90_ms"],
    }  # fmt: skip
    assert json.loads((release.path / "release.json").read_text())["admitted"] == release.admitted
    assert steps(home) == [("uploaded", None), ("admitted", None)]
    assert at(home).current() is None


def wrong(manifest: Manifest, files: dict[str, bytes], path: Path, *engines: str) -> Path:
    """Write the bundle with golden embeddings of these engines that are another model's."""
    write_bundle(path, manifest, files)
    golden = Golden.from_bundle(read_bundle(path))
    embeddings = {
        name: np.flip(values, axis=1).copy() if name in engines else values
        for name, values in golden.embeddings.items()
    }
    write_bundle(path, manifest, files | {"golden.npz": replace(golden, embeddings=embeddings).to_bytes()})
    return path


def test_an_engine_that_computes_something_else(
    manifest: Manifest, bundle_files: dict[str, bytes], tmp_path: Path
) -> None:
    path = wrong(manifest, bundle_files, tmp_path / "x.ecgb", "onnx-int8")
    found = prove(path, "onnx-int8", PYTHON)
    assert found.outcome == FAILED
    assert "does not compute here what it computed where it was made" in found.why
    assert found.found["golden_min_cosine"] < 0.999
    assert "p90_ms" not in found.found  # a wrong model has no latency
    assert prove(path, "litert-int8", PYTHON, rounds=1).outcome == PASSED


def test_a_bundle_without_golden_windows(
    manifest: Manifest, bundle_files: dict[str, bytes], tmp_path: Path
) -> None:
    files = {name: data for name, data in bundle_files.items() if name != "golden.npz"}
    write_bundle(tmp_path / "x.ecgb", manifest, files)
    found = prove(tmp_path / "x.ecgb", "litert-int8", PYTHON)
    assert found.outcome == FAILED
    assert "golden" in found.why


def fake_package(folder: Path, package: str, code: str) -> Path:
    """Make an interpreter in which a package does something else when it is imported."""
    (folder / "site" / package).mkdir(parents=True)
    (folder / "site" / package / "__init__.py").write_text(code)
    info = folder / "site" / "onnxruntime-1.21.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime\nVersion: 1.21.0\n")
    program = folder / "python"
    path = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])
    program.write_text(f'#!/bin/sh\nulimit -c 0\nPYTHONPATH="{path}" exec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "onnxruntime 1.21.0 died of SIGILL: it"),
        ("import ctypes; ctypes.string_at(0)", "onnxruntime 1.21.0 died of SIGSEGV."),
        ("import os; os.abort()", "onnxruntime 1.21.0 died of SIGABRT."),
        ("import os; os._exit(132)", "onnxruntime 1.21.0 died of SIGILL"),
        ("import os; os._exit(9)", "onnxruntime 1.21.0 ended with exit code 9."),
        ("raise OSError('libfoo.so: wrong ELF class')", "exit code 1: OSError: libfoo.so: wrong ELF class."),
        ("import time; time.sleep(60)", "did not answer within 3 s"),
        ("import os; print('{\"outcome\": \"passed\"}', flush=True); os._exit(7)", "exit code 7"),
    ],
)  # fmt: skip
def test_an_engine_that_takes_its_process_down(
    tmp_path: Path, bundle_path: Path, code: str, words: str
) -> None:
    python = fake_package(tmp_path, "onnxruntime", code)
    timeout_s = 3.0 if "sleep" in code else 60.0
    found = prove(bundle_path, "onnx-int8", python, timeout_s=timeout_s)
    assert found.outcome == FAILED
    assert words in found.why


def test_modules_in_the_folder_where_it_runs_do_not_count(
    tmp_path: Path, bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the user has a json.py')\n")
    monkeypatch.chdir(tmp_path)
    assert prove(bundle_path, "litert-int8", PYTHON, rounds=1).outcome == PASSED


def test_an_interpreter_that_is_not_there(tmp_path: Path, bundle_path: Path) -> None:
    found = prove(bundle_path, "onnx-int8", tmp_path / "python")
    assert found.outcome == FAILED
    assert "cannot be run: No such file or directory" in found.why


def test_an_engine_that_is_not_installed(tmp_path: Path, bundle_path: Path) -> None:
    python = fake_package(tmp_path, "onnxruntime", "raise ModuleNotFoundError('no', name='onnxruntime')")
    found = prove(bundle_path, "onnx-int8", python)
    assert found.outcome == ABSENT
    assert "pip install" in found.why


def test_the_engine_of_the_service_must_pass_and_no_other(take: Take) -> None:
    died = proof("onnx-int8", FAILED, "onnxruntime 1.21.0 died of SIGILL.")
    release = take(1, proof("litert-int8"), died)
    assert release.admitted["engine"] == "litert-int8"
    assert release.admitted["engines"]["onnx-int8"]["why"] == "onnxruntime 1.21.0 died of SIGILL."
    with pytest.raises(GateError, match="SIGILL") as caught:
        take(2, proof("litert-int8"), died, engine="onnx")
    assert "--engine litert-int8" in caught.value.remedy
    assert caught.value.exit_code == 6
    # What is not installed is not used.
    absent = proof("litert-int8", ABSENT, "pip install ai-edge-litert")
    assert take(3, absent, proof("onnx-int8")).admitted["engine"] == "onnx-int8"


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        (None, "auto"),
        ('[model]\nengine = "onnx"\n', "onnx"),
        ('[model]\nengine = "onnx-fp32"\n', "onnx-fp32"),
        ('[model]\nengine = "abacus"\n', "auto"),
        ("[model]\nengine = 3\n", "auto"),
        ("[model]\nengine = []\n", "auto"),
        ("model = 3\n", "auto"),
        ("[model", "auto"),
        ("", "auto"),
    ],
)
def test_the_engine_of_the_configuration(home: Home, text: str | None, engine: str) -> None:
    if text is not None:
        home.config.write_text(text)
    assert configured_engine(home) == engine


def test_the_configured_engine_must_pass(take: Take, home: Home) -> None:
    home.config.write_text('[model]\nengine = "onnx"\n')
    with pytest.raises(GateError, match="onnx-int8 failed"):
        take(1, proof("litert-int8"), proof("onnx-int8", FAILED, "It died."))
    assert take(1, proof("litert-int8"), proof("onnx-int8")).admitted["engine"] == "onnx-int8"


def test_no_engine_at_all(take: Take, home: Home) -> None:
    with pytest.raises(UsageError, match="No engine of tiny@") as caught:
        take(1, proof("litert-int8", ABSENT, "pip install ai-edge-litert"))
    assert caught.value.remedy == "pip install ai-edge-litert"
    with pytest.raises(UsageError, match="asked for was 'onnx'"):
        take(1, proof("litert-int8"), engine="onnx")
    assert [step for step, _ in steps(home)] == ["uploaded", "refused"] * 2
    assert at(home).all() == []


def test_auto_takes_the_first_in_the_table_not_the_first_given() -> None:
    proofs = {"litert-int8": proof("litert-int8", ABSENT), "onnx-int8": proof("onnx-int8")}
    assert chosen(proofs, "auto", "x").engine == "onnx-int8"
    assert chosen(proofs, "onnx-int8", "x").engine == "onnx-int8"


def test_too_slow(take: Take, home: Home) -> None:
    with pytest.raises(GateError, match="too slow") as caught:
        take(1, proof("litert-int8", p90_ms=801.0))
    assert "801 ms" in caught.value.why
    assert "800 ms" in caught.value.why
    assert steps(home)[-1][0] == "refused"
    release = take(1, proof("litert-int8", p90_ms=801.0), max_latency_ms=900.0)
    assert release.admitted["latency"] == {"limit_ms": 900.0, "p90_ms": 801.0}


def test_an_emulated_machine_has_no_latency(take: Take) -> None:
    release = take(1, proof("litert-int8", p90_ms=5000.0), emulated=lambda: "QEMU")
    assert release.admitted["latency"] == {"limit_ms": MAX_LATENCY_MS, "skipped": "QEMU"}
    assert "p90_ms" not in json.dumps(dict(release.admitted))


def test_no_downgrade(take: Take, home: Home) -> None:
    releases = at(home)
    releases.switch(take(3))
    with pytest.raises(BundleError, match="older than one"):
        take(2)
    assert steps(home)[-1][0] == "refused"
    assert take(2, allow_downgrade=True).version == "0.2.0"
    # One that is here already is not let in by the back door.
    with pytest.raises(BundleError, match="older than one"):
        take(2)
    assert take(4).version == "0.4.0"


def test_a_trial_that_failed_raises_no_bar(take: Take, home: Home) -> None:
    releases = at(home)
    releases.switch(take(1))
    releases.switch(take(5), 60.0)
    releases.revert("it failed")
    assert take(2).version == "0.2.0"


def test_again_is_the_same_and_costs_nothing(home: Home, take: Take) -> None:
    first = take(1)
    before = steps(home)
    assert take(1, proof("litert-int8", FAILED, "must not be asked again")) == first
    assert steps(home) == before


def test_an_upload_is_taken_in_and_may_be_asked_for_again(home: Home, take: Take, bundles: Path) -> None:
    digest = hashlib.sha256((bundles / "1.ecgb").read_bytes()).hexdigest()
    upload = home.incoming / f"{digest}.ecgb"
    home.incoming.mkdir(parents=True)
    shutil.copy(bundles / "1.ecgb", upload)
    first = take(path=upload)
    assert not upload.exists()
    assert take(path=upload) == first
    shutil.copy(bundles / "1.ecgb", upload)  # the power went before it was removed, or it was sent again
    assert take(path=upload) == first
    assert not upload.exists()
    with pytest.raises(BundleError, match="cannot be read"):
        take(path=home.incoming / f"{'0' * 64}.ecgb")


def test_an_upload_that_is_another_file(home: Home, take: Take, bundles: Path) -> None:
    home.incoming.mkdir(parents=True)
    upload = home.incoming / f"{'a' * 64}.ecgb"
    shutil.copy(bundles / "1.ecgb", upload)
    with pytest.raises(BundleError, match="not the file that was sent"):
        take(path=upload)
    assert at(home).all() == []


def test_a_damaged_bundle(home: Home, take: Take, bundles: Path) -> None:
    path = bundles / "1.ecgb"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match="not an intact"):
        take(1)
    assert at(home).all() == []


def test_a_bundle_for_a_newer_runtime(
    home: Home, take: Take, manifest: Manifest, bundle_files: dict[str, bytes], tmp_path: Path
) -> None:
    text = tiny_bundle(tmp_path / "x.ecgb", "1.0.0").read_bytes()
    assert b'"minimum_runtime": "0.1.0"' in text
    from edge_ecg.bundle.archive import pack, unpack

    entries = [
        (entry, content.replace(b'"minimum_runtime": "0.1.0"', b'"minimum_runtime": "9.1.0"'))
        for entry, content in unpack(text)
    ]
    (tmp_path / "x.ecgb").write_bytes(pack(entries))
    with pytest.raises(BundleError, match=r"edge-ecg 9\.1\.0"):
        take(path=tmp_path / "x.ecgb")


def test_where_keys_are_trusted_it_must_be_signed(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_ECG_TRUSTED_KEYS", str(tmp_path))
    (tmp_path / "ann.pub").write_text(f"{PublicKey(bytes(range(32)), 'ann').line}\n")
    with pytest.raises(BundleError, match="not signed"):
        take(1)


def test_no_room(home: Home, take: Take) -> None:
    with pytest.raises(DataError, match="no room") as caught:
        take(1, free=lambda _: 10_000_000)
    assert "10 MB are free" in caught.value.why
    assert at(home).all() == []


def test_the_runtime_that_is_asked_proves_it(home: Home, bundles: Path) -> None:
    asked: list[Path] = []

    def prover(_: Path, bundle: Bundle, python: Path) -> dict[str, Proof]:
        asked.append(python)
        return {"litert-int8": proof("litert-int8")}

    release = admit(home, bundles / "1.ecgb", runtime_id="two", prover=prover, emulated=lambda: None)
    assert asked == [home.runtime("two") / "bin/python"]
    assert release.runtime == "two"
    with pytest.raises(DataError, match="not installed completely"):
        admit(home, bundles / "2.ecgb", runtime_id="three", prover=prover, emulated=lambda: None)


def test_the_names_of_a_deployment(home: Home, take: Take) -> None:
    take(1, deployment="rollout-7")
    assert {entry.deployment for entry in Releases(home).journal.entries()} == {"rollout-7"}
