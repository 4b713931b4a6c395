"""C for a microcontroller: equal to LiteRT, compiled by a compiler, refused where it cannot be."""

from __future__ import annotations

import ast
import ctypes
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ecg.bundle import (
    Bundle,
    EncoderSpec,
    Golden,
    InputSpec,
    Manifest,
    Preprocessing,
    TaskSpec,
    bundle_bytes,
    read_bundle,
)
from edge_ecg.cli import main
from edge_ecg.errors import GateError, UsageError
from edge_ecg.heads import MlpHead
from edge_ecg.model import bundled, load_model
from edge_ecg.signal.iir import high_pass
from edge_ecg.signal.normalise import trimmed_scale
from edge_ecg_export.calibrate import calibrate
from edge_ecg_export.graph import make_trunk
from edge_ecg_export.micro import MicroExport, export_micro, write_files
from edge_ecg_export.micro.around import digits, embedding
from edge_ecg_export.micro.c_text import double_text, float_text, identifier, string_text
from edge_ecg_export.micro.check import run_litert
from edge_ecg_export.micro.core import Core, cut_core
from edge_ecg_export.micro.tflm import run_micro
from edge_ecg_export.quantise import quantise
from edge_ecg_export.tflite_writer import int8_tflite

Windows = NDArray[np.float32]
STUB = Path(__file__).parent / "micro_stub"
SOURCES = ("edge_ecg_model", "edge_ecg_around", "edge_ecg_heads", "edge_ecg_golden")
STRICT = ("-O2", "-Wall", "-Wextra", "-Werror", "-pedantic")

needs_micro = pytest.mark.skipif(
    not shutil.which("gcc") or not shutil.which("g++"), reason="needs gcc and g++: apt install g++"
)


@pytest.fixture(scope="module", autouse=True)
def tflite_micro() -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed (x86-64, Python < 3.13 only)")


@pytest.fixture(scope="module", params=["max", "max-mean-std"])
def tflite(request: pytest.FixtureRequest, arrays: dict[str, NDArray[Any]], windows: Windows) -> bytes:
    """An int8 encoder of each kind of pooling, with random weights."""
    padding = "same" if request.param == "max" else "valid"
    trunk = make_trunk(arrays | {"padding": np.array(padding), "pooling": np.array(request.param)})
    return int8_tflite(quantise(trunk, calibrate(trunk, windows[::4])))


@pytest.fixture(scope="module")
def core(tflite: bytes) -> Core:
    return cut_core(tflite)


def random_head(inputs: int, outputs: int, hidden: int | None, seed: int) -> MlpHead:
    rng = np.random.default_rng(seed)
    widths = [inputs, *([] if hidden is None else [hidden]), outputs]
    return MlpHead(
        rng.normal(size=inputs),
        rng.uniform(0.5, 2.0, inputs),
        [rng.normal(0, 0.1, shape) for shape in pairwise(widths)],
        [rng.normal(0, 0.1, width) for width in widths[1:]],
        temperature=1.5,
    )


def small_bundle(tflite: bytes, core: Core, windows: Windows, *, flipped: bool = False) -> Bundle:
    """A bundle of this encoder and two heads: one with features, one with a hidden layer and three labels."""
    stress = TaskSpec(("rest", 'str"ess*/'), "heads/stress.npz", features=("heart_rate_bpm", "sdnn_ms"))
    tasks = {
        "stress": replace(stress, min_confidence=0.5),
        "3 moods": TaskSpec(("low", "mid", "hïgh"), "heads/moods.npz", min_confidence=0.0),
    }
    heads = {
        "heads/stress.npz": random_head(core.embedding + 2, 1, None, 1),
        "heads/moods.npz": random_head(core.embedding, 3, 8, 2),
    }
    files: dict[str, bytes] = {"encoder.int8.tflite": tflite, "CARD.md": b"# Small\n"}
    for name, head in heads.items():
        stream = io.BytesIO()
        head.save(stream)
        files[name] = stream.getvalue()
    pooling = "max" if core.zero is None else "max-mean-std"
    manifest = Manifest(
        "small", "1.0.0", "2026-01-31T12:00:00Z", "0.1.0",
        InputSpec(preprocessing=Preprocessing()), EncoderSpec(pooling=pooling, embedding=core.embedding),
        tasks, {"litert-int8": "encoder.int8.tflite"},
    )  # fmt: skip
    some = windows[[0, 7, 30]]
    embeddings = run_litert(tflite, some[:, None], reference=False)[:, 0]
    without = read_bundle(
        io.BytesIO(bundle_bytes(manifest, {**files, "golden.npz": Golden(some).to_bytes()}))
    )
    probabilities = load_model(io.BytesIO(_bytes(without))).decide(embeddings, some)
    if flipped:
        probabilities = {task: values[:, ::-1].copy() for task, values in probabilities.items()}
    golden = Golden(some, {"litert-int8": embeddings}, probabilities)
    return read_bundle(io.BytesIO(bundle_bytes(manifest, {**files, "golden.npz": golden.to_bytes()})))


def _bytes(bundle: Bundle) -> bytes:
    return bundle_bytes(bundle.manifest, dict(bundle.contents))


@pytest.fixture(scope="module")
def made(tflite: bytes, core: Core, windows: Windows) -> MicroExport:
    return export_micro(small_bundle(tflite, core, windows))


def compiled(made: MicroExport, folder: Path, command: list[str], *more: str) -> Path:
    """Compile all but the example with a compiler that forgives nothing; returns the library."""
    write_files(folder, made.files)
    library = folder / "library.so"
    files = [str(folder / f"{name}.cc") for name in SOURCES]
    subprocess.run(
        [*command, *STRICT, "-shared", "-fPIC", *more, *files, "-lm", "-o", str(library)], check=True
    )
    return library


@pytest.fixture(scope="module")
def library(made: MicroExport, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("c99")
    return ctypes.CDLL(str(compiled(made, folder, ["gcc", "-std=c99", "-x", "c"], "-ffp-contract=fast")))


def floats(values: NDArray[Any]) -> Any:
    return values.ctypes.data_as(ctypes.c_void_p)


def test_the_core_and_its_ends_are_the_file(tflite: bytes, core: Core, windows: Windows) -> None:
    """To the bit, in LiteRT's reference kernels and in its fast ones; so the cut is in the right place."""
    for reference in (True, False):
        inputs = np.stack([digits(core, window) for window in windows[:3]])
        outputs = run_litert(core.model, inputs, reference=reference)
        parts = np.stack([embedding(core, output) for output in outputs])
        whole = run_litert(tflite, windows[:3, None], reference=reference)[:, 0]
        np.testing.assert_array_equal(parts, whole)


def test_tflite_micro_equals_the_reference_kernels(core: Core, windows: Windows) -> None:
    inputs = np.stack([digits(core, window) for window in windows[:3]])
    micro, litert = run_micro(core.model, inputs).outputs, run_litert(core.model, inputs, reference=True)
    np.testing.assert_array_equal(micro, litert)
    assert len(np.unique(micro)) > 50  # they are not all the same value


def test_what_is_written_needs_few_operators_and_little_memory(made: MicroExport) -> None:
    maxima = made.core.zero is None
    wanted = ["CONV_2D", "LEAKY_RELU", "MAX_POOL_2D"] + (["REDUCE_MAX"] if maxima else [])
    assert made.report["operators"] == wanted
    assert made.report["arena_bytes"] == made.arena_bytes < 200_000
    assert made.report["core_bytes"] == len(made.core.model) < 360_000
    assert 0 < made.distance.differing < 1
    assert made.distance.decisions_equal == 1.0


def test_the_arena_is_the_smallest(made: MicroExport, windows: Windows) -> None:
    inputs = digits(made.core, windows[0])[None]
    assert run_micro(made.core.model, inputs, made.arena_bytes).outputs.any()
    # In some of these the interpreter crashes; that, too, is a refusal.
    for arena_bytes in (16, 1008, made.arena_bytes - 16):
        with pytest.raises(GateError, match="does not run the model"):
            run_micro(made.core.model, inputs, arena_bytes)


@needs_micro
def test_the_array_is_the_file(made: MicroExport, library: ctypes.CDLL) -> None:
    size = len(made.core.model)
    array = (ctypes.c_ubyte * size).in_dll(library, "edge_ecg_model")
    assert bytes(array) == made.core.model == made.files["encoder.core.tflite"]
    assert ctypes.addressof(array) % 16 == 0
    assert f"#define EDGE_ECG_MODEL_BYTES {size}\n" in made.files["edge_ecg_model.h"].decode()


@needs_micro
def test_c_computes_the_ends_to_the_bit(
    made: MicroExport, library: ctypes.CDLL, windows: Windows, tflite: bytes
) -> None:
    """Even where the compiler may fuse multiplications with additions."""
    rng = np.random.default_rng(1)
    extreme = rng.uniform(-40, 40, windows.shape[1]).astype(np.float32)
    ties = (rng.integers(-300, 300, windows.shape[1]) / 16).astype(np.float32)
    for window in (*windows[:4], extreme, ties):
        given_c = np.empty(made.core.input_shape, np.int8)
        library.edge_ecg_digits(floats(window), floats(given_c))
        np.testing.assert_array_equal(given_c, digits(made.core, window))
        output = run_litert(made.core.model, given_c[None], reference=True)[0]
        found = np.empty(made.core.embedding, np.float32)
        library.edge_ecg_embedding(floats(output), floats(found))
        np.testing.assert_array_equal(found, run_litert(tflite, window[None, None], reference=True)[0, 0])


@needs_micro
@pytest.mark.parametrize("missing", [False, True])
def test_c_computes_the_heads(made: MicroExport, library: ctypes.CDLL, *, missing: bool) -> None:
    rng = np.random.default_rng(2)
    for task, labels, features, seed in (("stress", 2, 2, 1), ("_3_moods", 3, 0, 2)):
        head = random_head(
            made.core.embedding + features, labels if labels > 2 else 1, 8 if seed == 2 else None, seed
        )
        values = rng.normal(0, 2, made.core.embedding).astype(np.float32)
        more = (
            np.full(features, np.nan, np.float32)
            if missing
            else rng.normal(60, 9, features).astype(np.float32)
        )
        found = np.empty(labels, np.float32)
        getattr(library, f"edge_ecg_{task}")(floats(values), None if missing else floats(more), floats(found))
        expected = head.probabilities(np.concatenate([values, more])[None])[0]
        np.testing.assert_allclose(found, expected, atol=2e-6)


@needs_micro
def test_c_filters_and_scales_as_the_chain_does(library: ctypes.CDLL) -> None:
    step = library.edge_ecg_high_pass_step
    step.restype, step.argtypes = ctypes.c_float, [ctypes.c_void_p, ctypes.c_float]
    ecg_mv = np.random.default_rng(3).normal(300, 1, 2560).astype(np.float32)
    state = np.zeros(3)
    found = np.array([step(floats(state), value) for value in ecg_mv.tolist()], np.float32)
    expected = high_pass(256.0).process(ecg_mv.astype(np.float64))
    np.testing.assert_array_equal(found, expected.astype(np.float32))

    scale = trimmed_scale(expected.astype(np.float32).astype(np.float64))
    mean, deviation = np.zeros(1, np.float32), np.zeros(1, np.float32)
    given_c = expected.astype(np.float32)
    assert library.edge_ecg_trimmed_scale(floats(given_c), floats(mean), floats(deviation)) == 1
    np.testing.assert_allclose([mean[0], deviation[0]], [scale.mean_mv, scale.sd_mv], rtol=1e-6)
    flat = np.full(2560, 0.5, np.float32)
    assert library.edge_ecg_trimmed_scale(floats(flat), floats(mean), floats(deviation)) == 0


@needs_micro
@pytest.mark.parametrize("spoilt", [False, True])
def test_the_example_tests_itself(
    made: MicroExport, windows: Windows, tmp_path: Path, *, spoilt: bool
) -> None:
    """With a stand-in for TFLite-Micro that plays LiteRT's outputs back; one wrong value and it says so."""
    write_files(tmp_path, made.files)
    program = tmp_path / "example"
    files = [str(tmp_path / f"{name}.cc") for name in (*SOURCES, "edge_ecg_example")]
    includes = ["-I", str(tmp_path), "-I", str(STUB)]
    subprocess.run(["g++", "-std=c++11", *STRICT, *includes, *files, "-o", str(program)], check=True)
    inputs = np.stack([digits(made.core, window) for window in windows[[0, 7, 30]]])
    outputs = run_litert(made.core.model, inputs, reference=True)
    if spoilt:
        outputs.reshape(3, -1)[1, -1] += 1
    (tmp_path / "outputs").write_bytes(outputs.tobytes())
    done = subprocess.run(
        [str(program)], capture_output=True, text=True, timeout=60,
        env={**os.environ, "OUTPUTS": str(tmp_path / "outputs"), "INPUTS": str(tmp_path / "inputs")},
    )  # fmt: skip
    assert (tmp_path / "inputs").read_bytes() == inputs.tobytes()
    lines = done.stdout.splitlines()
    wanted = ["equal", "DIFFERENT" if spoilt else "equal", "equal"]
    assert [line.rpartition(" ")[2] for line in lines[:3]] == wanted, done.stdout
    assert lines[3] == f"{done.returncode} wrong"
    assert (done.returncode > 0) is spoilt


def test_an_encoder_with_float_convolutions_is_refused(
    arrays: dict[str, NDArray[Any]], windows: Windows
) -> None:
    trunk = make_trunk(arrays)
    with pytest.raises(GateError, match="no int8 core"):
        cut_core(int8_tflite(quantise(trunk, calibrate(trunk, windows[::8]), 2)))


def test_other_decisions_are_refused(tflite: bytes, core: Core, windows: Windows) -> None:
    with pytest.raises(GateError, match="golden windows are decided otherwise"):
        export_micro(small_bundle(tflite, core, windows, flipped=True))


def test_without_tflite_micro(
    tflite: bytes, core: Core, windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_ecg_export.micro.tflm.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install tflite-micro"):
        export_micro(small_bundle(tflite, core, windows))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float_literals_read_back(value: float) -> None:
    text = float_text(value)
    assert np.float32(text.removesuffix("f")) == np.float32(value)
    assert text.endswith("f")
    assert "." in text or "e" in text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_double_literals_read_back(value: float) -> None:
    assert float(double_text(value)) == value


@given(st.text())
def test_names_become_identifiers(text: str) -> None:
    made = identifier(text)
    assert made.isascii()
    assert made.isidentifier()


@given(st.text())
def test_strings_read_back(text: str) -> None:
    """By Python, whose bytes have C's octal escapes."""
    made = string_text(text)
    assert ast.literal_eval(f"b{made}").decode() == text
    assert "??" not in made  # a trigraph in C


@pytest.mark.slow
@needs_micro
def test_the_model_that_comes_along_by_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "stress.ecgb"
    place.write_bytes(_bytes(bundled()))
    command = ["export", "--target", "micro", "--from", str(place), "-o", str(tmp_path / "c")]
    assert main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["arena_bytes"] < 200_000
    assert report["from_xnnpack"]["decisions_equal"] == 1.0
    assert json.loads((tmp_path / "c" / "micro.json").read_text())["core_sha256"] == report["core_sha256"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "equal to LiteRT's reference kernels, every decision that of the bundle" in printed


RunMaker = Callable[[], Any]


@pytest.mark.slow
def test_a_run_by_the_command_line(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "c"
    command = ["export", str(run.path), "-o", str(out), "--calibration-windows", "8", "--target", "micro"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["type"] == "micro"
    assert (out / "edge_ecg_model.cc").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "x"],
        ["-o", "x", "--from", "a.ecgb"],
        ["RUN", "-o", "x", "--target", "micro", "--from", "a.ecgb"],
    ],
    ids=["nothing", "a bundle to a bundle", "both"],
)
def test_command_line_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *arguments]) == 2
    assert "not clear what to export" in capsys.readouterr().err
