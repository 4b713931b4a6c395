"""Hostile bundles through ``edge-ecg verify``: exit code 4, little memory, nothing run, nothing written."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edge_ecg.bundle import Manifest

_SMALL_FILE_BYTES, _SMALL_FILE_PEAK = 64 * 1024, 4 * 2**20
_PEAK = 24 * 2**20  # beside three times the file
_SECONDS = 5.0

# Verifies files and tells, of each: the exit code, the highest memory, the seconds, and what it did.
_CHILD = """
import contextlib, io, json, os, resource, sys, time, tracemalloc
from edge_ecg.cli import main

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
did = []
TELLING = ("pickle.", "compile", "exec", "subprocess.", "os.", "shutil.", "socket.", "tempfile.", "ctypes.",
           "code.", "marshal.", "import", "glob.", "pathlib.", "builtins.input", "signal.", "syslog.")
def audit(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if mode not in ("r", "rb", None) or (flags and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            did.append([event, str(arguments)])
        elif not str(path).endswith(".ecgb"):
            did.append([event, str(path)])
    elif event.startswith(TELLING) and event != "os.listdir":
        did.append([event, str(arguments)[:200]])

def verify(path):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["verify", path])
    return code, out.getvalue(), err.getvalue()

warm, *paths = sys.argv[1:]
assert verify(warm)[0] == 0, verify(warm)
assert verify(paths[0])[0] == 4, verify(paths[0])
sys.addaudithook(audit)
tracemalloc.start()
for path in paths:
    did.clear()
    tracemalloc.reset_peak()
    before, began = tracemalloc.get_traced_memory()[0], time.monotonic()
    try:
        code, out, err = verify(path)
    except BaseException as error:
        code, out, err = 1, "", repr(error)
    seconds = time.monotonic() - began
    peak = tracemalloc.get_traced_memory()[1] - before
    print(json.dumps([path, code, peak, seconds, did, out, err]), flush=True)
"""


def _load(name: str) -> ModuleType:
    # Tests are imported by path, so a module beside them has to be, too.
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hostile = _load("hostile")


def told_of(folder: Path, manifest: Manifest, cases: Iterator[tuple[str, bytes]]) -> dict[str, list[Any]]:
    """Write the cases to files, have them verified in a process of its own, and return what it tells."""
    (folder / "good.ecgb").write_bytes(hostile.plain(manifest))
    names: dict[str, str] = {}
    for number, (name, data) in enumerate(cases):
        path = folder / f"{number}.ecgb"
        path.write_bytes(data)
        assert name not in names.values(), name
        names[str(path)] = name
    before = sorted(os.listdir(folder))
    command = [sys.executable, "-c", _CHILD, str(folder / "good.ecgb"), *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(folder)) == before
    return {names[path]: rest for path, *rest in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("kind", ["containers", "manifests", "arrays"])
def test_what_wants_more_than_to_be_read(kind: str, tmp_path: Path, manifest: Manifest) -> None:
    mark = tmp_path / "mark"
    cases = dict(hostile.arrays(manifest, mark) if kind == "arrays" else getattr(hostile, kind)(manifest))
    folder = tmp_path / "bundles"
    folder.mkdir()
    told = told_of(folder, manifest, iter(cases.items()))
    assert set(told) == set(cases)
    wrong = {}
    for name, (code, peak, seconds, did, out, err) in told.items():
        size = len(cases[name])
        bound = _SMALL_FILE_PEAK if size <= _SMALL_FILE_BYTES else _PEAK + 3 * size
        fits = err.isascii() or err.replace("\N{REPLACEMENT CHARACTER}", "").replace("\n", "").isprintable()
        if code != 4 or out or did or peak > bound or seconds > _SECONDS or not fits or "\x1b" in err:
            wrong[name] = (code, size, peak, round(seconds, 2), did, out, err)
    assert wrong == {}
    assert not mark.exists()
