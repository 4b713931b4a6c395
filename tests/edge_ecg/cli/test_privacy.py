"""Names of people in files and in their headers get nowhere, and nothing goes onto the network unasked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path

import edfio
import numpy as np
import pytest

from edge_ecg.cli import main
from edge_ecg_bridge.synthetic import SyntheticEcg

NAME, BIRTH, HOSPITAL = "Zebulonia", "17-MAR-1961", "HX99173QQ"
SECRETS = (NAME.lower(), BIRTH.lower(), "17.03.61", "1961-03-17", HOSPITAL.lower())
FS_HZ = 250


@pytest.fixture(scope="module")
def heart() -> np.ndarray:
    """40 s of ECG, (10000,) mV."""
    beats = np.concatenate(list(islice(SyntheticEcg()(FS_HZ), 80)))
    return beats[: 40 * FS_HZ]


def edf(folder: Path, heart: np.ndarray) -> Path:
    path = folder / f"{NAME}.edf"
    patient = edfio.Patient(code=HOSPITAL, sex="F", birthdate=date(1961, 3, 17), name=f"{NAME}_Quirk")
    signal = edfio.EdfSignal(heart, FS_HZ, label="ECG", physical_dimension="mV", physical_range=(-5, 5))
    edfio.Edf([signal], patient=patient, annotations=[edfio.EdfAnnotation(3.0, None, "rest")]).write(path)
    return path


def wfdb(folder: Path, heart: np.ndarray) -> Path:
    """By hand: the writers that there are put no patient into a header, hospitals do."""
    np.round(1000 * heart).astype("<i2").tofile(folder / f"{NAME}.dat")
    (folder / f"{NAME}.hea").write_text(
        f"{NAME} 1 {FS_HZ} {len(heart)}\n{NAME}.dat 16 1000/mV 16 0\n"
        f"# Name: {NAME} Quirk\n#<birth>: {BIRTH} <id>: {HOSPITAL}\n"
    )
    return folder / f"{NAME}.hea"


def opensignals(folder: Path, heart: np.ndarray) -> Path:
    header = {
        "00:07:80:AA:BB:CC": {
            "device": "biosignalsplux", "device name": f"{NAME}'s plux", "comments": f"{BIRTH} {HOSPITAL}",
            "sampling rate": FS_HZ, "resolution": [16, 16], "sensor": ["ECG"], "label": ["CH1"],
            "column": ["nSeq", "DI", "CH1"],
        }
    }  # fmt: skip
    digits = np.round((heart * 1019 / 3000 + 0.5) * 2**16).astype(int)
    rows = [f"{number}\t0\t{digit}" for number, digit in enumerate(digits)]
    path = folder / f"{NAME}.txt"
    lines = ["# OpenSignals Text File Format", f"# {json.dumps(header)}", "# EndOfHeader", *rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def table(folder: Path, heart: np.ndarray) -> Path:
    path = folder / f"{NAME}.csv"
    comments = [f"# patient: {NAME} Quirk", f"# birth: {BIRTH}", f"# id: {HOSPITAL}", f"# fs_hz: {FS_HZ}"]
    path.write_text("\n".join([*comments, "ecg_mv", *map(repr, heart.tolist())]) + "\n")
    return path


def arrays(folder: Path, heart: np.ndarray) -> Path:
    path = folder / f"{NAME}.npz"
    np.savez(path, ecg_mv=heart, fs_hz=FS_HZ, **{NAME: heart})
    return path


WRITERS = (edf, wfdb, opensignals, table, arrays)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("as_json", [True, False])
def test_a_planted_name_is_in_no_output(
    write: Callable[[Path, np.ndarray], Path],
    as_json: bool,
    heart: np.ndarray,
    tmp_path: Path,
    personal_bundle_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EDGE_ECG_HOME", str(tmp_path / "out" / "home"))
    given, out = tmp_path / "in", tmp_path / "out"
    given.mkdir()
    out.mkdir()
    source = write(given, heart)
    port = ("--port", f"file:{source}?speed=max")
    model = ("--model", personal_bundle_path)
    commands = [
        ("enrol", *port, *model, "--duration", 30, "--person", f"{NAME} Quirk", "--record", out / "1.csv"),
        ("run", *port, *model, "--person", f"{NAME} Quirk", "--record", out / "2.csv"),
        ("replay", source, *model),
        ("record", *port, "--record", out / "3.csv"),
        ("enrol", "--undo", "--person", f"{NAME} Quirk"),
    ]
    capfd.readouterr()
    said = ""
    for command in commands:
        assert main([*map(str, command), *(["--json"] if as_json else [])]) == 0
        stdout, stderr = capfd.readouterr()
        # What is said to whoever typed the name may repeat it: enrol prints the command that comes next.
        said += stdout + stderr.replace(f"name {NAME} Quirk", "")
    assert said.count("stress") > 10
    for secret in SECRETS:
        assert secret not in said.lower()
    written = {path: path.read_text().lower() for path in out.rglob("*") if path.is_file()}
    index = written.pop(out / "home" / "people.json")
    assert NAME.lower() in index
    assert len(written) >= 4
    for path, text in written.items():
        assert not [secret for secret in SECRETS if secret in text or secret in path.name.lower()], path


@pytest.mark.parametrize("write", [edf, table])
def test_a_failure_in_the_middle_of_a_file_does_not_name_it_in_records(
    write: Callable[[Path, np.ndarray], Path],
    heart: np.ndarray,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = write(tmp_path, heart)
    if write is table:
        text = source.read_text().splitlines()
        text[len(text) // 2] = "what is this"
        source.write_text("\n".join(text))
    else:
        data = source.read_bytes()
        source.write_bytes(data[: len(data) // 2])
    assert main(["replay", str(source), "--json"]) == 5
    stdout, stderr = capfd.readouterr()
    assert NAME not in stdout
    # A person at a terminal is told which file it is.
    assert NAME in stderr
    if write is table:
        assert [json.loads(line)["type"] for line in stdout.splitlines()][-2:] == ["event", "end"]
        assert "*.csv" in json.loads(stdout.splitlines()[-1])["reason"]


HOME_PROGRAM = """
import sys
asked = []
sys.addaudithook(lambda event, args: asked.append((event, args[1:])) if event in (
    "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.gethostbyaddr") else None)
from edge_ecg.cli import main
code = main(sys.argv[1:])
print(asked, file=sys.stderr)
sys.exit(code or len(asked))
"""
LIVE = (
    ("run", "--port", "sim:shimmer3?speed=max", "--duration", "12", "--record", "run.csv"),
    ("run", "--port", "sim:shimmer3?speed=max", "--duration", "12", "--json", "--person", "P-7f3k"),
    ("record", "--port", "sim:polar-h10?speed=max", "--duration", "2", "--record", "record.csv"),
    ("enrol", "--port", "sim:shimmer3?speed=max", "--duration", "30"),
    ("replay", "run.csv"),
    ("forget", "P-7f3k", "--dry-run"),
)


@cache
def strace_works() -> bool:
    """Containers may forbid to trace even one's own processes."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-qq", "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording and a person, for the commands that need them."""
    folder = tmp_path_factory.mktemp("lived_in")
    words = ["record", "--port", "sim:shimmer3?speed=max", "--duration", "12", "--record", "run.csv"]
    command = [sys.executable, "-m", "edge_ecg", *words, "--person", "P-7f3k"]
    environment = os.environ | {"EDGE_ECG_HOME": str(folder / "home")}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("words", LIVE, ids=lambda words: " ".join(words[:2]))
def test_nothing_asks_for_the_network(words: tuple[str, ...], lived_in: Path, tmp_path: Path) -> None:
    """By Python's own audit events and, where strace is there, by the system calls of the whole process."""
    shutil.copytree(lived_in, tmp_path, dirs_exist_ok=True)
    if words[0] in ("run", "record"):
        (tmp_path / "run.csv").unlink()
    command = [sys.executable, "-c", HOME_PROGRAM, *words]
    calls = tmp_path / "calls"
    if strace_works():
        traced = ["strace", "-f", "-qq", "-e", "trace=connect,bind,sendto,sendmsg,sendmmsg,listen"]
        command = [*traced, "-o", str(calls), *command]
    environment = os.environ | {"EDGE_ECG_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "[]"), done.stderr
    if calls.exists():
        assert [line for line in calls.read_text().splitlines() if "exited with" not in line] == []


def test_the_network_check_sees_a_connection(tmp_path: Path) -> None:
    """The check itself: a port on the network is asked for, so that it is seen."""
    words = ("run", "--port", "socket://127.0.0.1:1", "--duration", "1")
    command = [sys.executable, "-c", HOME_PROGRAM, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "socket.connect" in done.stderr or "socket.getaddrinfo" in done.stderr
