"""Hostile bundles through ``edge-ecg verify``: exit code 4, little memory, nothing run, nothing written."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_ecg.bundle import Manifest, TrustedKey, TrustedKeys, read_bundle
from edge_ecg.bundle.archive import pack, unpack
from edge_ecg.bundle.private_key import public_of
from edge_ecg.bundle.signature import Signature, encode_signatures
from edge_ecg.cli.verify import check_files
from edge_ecg.errors import BundleError

_SMALL_FILE_BYTES, _SMALL_FILE_PEAK = 64 * 1024, 4 * 2**20
_PEAK = 24 * 2**20  # beside three times the file
_CPU_SECONDS = 20.0  # with every allocation traced

# Verifies files and tells, of each: the exit code, the highest memory, the CPU time, and what it did.
_CHILD = """
import argparse, contextlib, io, json, os, resource, sys, time, tracemalloc
from edge_ecg.cli import print_error
from edge_ecg.cli.verify import run
from edge_ecg.errors import EdgeEcgError

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
        try:
            code = run(argparse.Namespace(bundle=path, keys=None, json=False))
        except EdgeEcgError as error:
            print_error(error)
            code = error.exit_code
    return code, out.getvalue(), err.getvalue()

warm, *paths = sys.argv[1:]
assert verify(warm)[0] == 0, verify(warm)
assert verify(paths[0])[0] == 4, verify(paths[0])
sys.addaudithook(audit)
tracemalloc.start()
for path in paths:
    did.clear()
    tracemalloc.reset_peak()
    before, began = tracemalloc.get_traced_memory()[0], time.process_time()
    try:
        code, out, err = verify(path)
    except BaseException as error:
        code, out, err = 1, "", repr(error)
    seconds = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1] - before
    print(json.dumps([path, code, peak, seconds, did, out, err]), flush=True)
"""


def _load(name: str) -> ModuleType:
    # Tests are imported by path, so a module beside them has to be, too.
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
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


def test_what_a_trusted_key_has_signed_is_looked_at_as_hard(manifest: Manifest) -> None:
    private = Ed25519PrivateKey.generate()
    trust = TrustedKeys((TrustedKey(public_of(private), Path("key.pub")),))
    refused = 0
    for _, data in hostile.manifests(manifest):
        first, *rest = unpack(data)
        signature = encode_signatures([Signature.make(private, first[1])])
        signed = pack([first, ("manifest.sig", signature), *rest])
        try:
            bundle = read_bundle(io.BytesIO(signed), trust=trust)
        except BundleError:
            refused += 1
        else:
            # The manifest is in order; what it says of a head or an encoder is not.
            with pytest.raises(BundleError):
                check_files(bundle)
    assert refused > 140


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
        if code != 4 or out or did or peak > bound or seconds > _CPU_SECONDS or not fits or "\x1b" in err:
            wrong[name] = (code, size, peak, round(seconds, 2), did, out, err)
    assert wrong == {}
    assert not mark.exists()
