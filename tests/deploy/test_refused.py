"""Bundles that the device refuses, and what the user's other wishes do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ecg.bundle.private_key import load_private_key, write_key_pair
from edge_ecg.bundle.signing import sign_bundle
from edge_ecg.cli import main
from edge_ecg.deploy.remote.flash import Flash
from edge_ecg.deploy.remote.flash_options import FlashOptions
from edge_ecg.deploy.remote.probe import probe
from edge_ecg.deploy.remote.ssh import Remote
from edge_ecg.errors import BundleError, GateError

from .attempts import attempt
from .conftest import MakeDevice
from .device import Device, variant

pytestmark = pytest.mark.usefixtures("clean_env")


def test_signatures_are_checked_on_the_device(
    make_device: MakeDevice, flashed: Device, new_bundle: Path, tmp_path: Path
) -> None:
    device = make_device(flashed, trusting=True)
    key = tmp_path / "key"
    write_key_pair(key, comment="work")
    signed = tmp_path / "signed.ecgb"
    signed.write_bytes(sign_bundle(new_bundle.read_bytes(), load_private_key(key, lambda: b"")))

    # What is not signed by it would not start again where it is trusted.
    with pytest.raises(BundleError, match="is not signed by"):
        Flash(FlashOptions(new_bundle, trust=key.with_suffix(".pub")), tmp_path)

    # The key comes with the first flash, last of all; from then on, unsigned ones are refused.
    first = attempt(device, signed, trust=key.with_suffix(".pub"))
    assert first.error is None, first.error
    assert device.running() == "1.1.0"
    assert first.steps[-1] == "trust"
    unsigned = variant(new_bundle, tmp_path / "unsigned.ecgb", "1.2.0")
    refused = attempt(device, unsigned)
    assert isinstance(refused.error, BundleError)
    assert f"{unsigned} is not signed" in refused.error.what
    assert device.running() == "1.1.0"


@pytest.mark.slow
def test_an_older_version_only_when_asked(
    make_device: MakeDevice, flashed: Device, old_bundle: Path, new_bundle: Path, tmp_path: Path
) -> None:
    device = make_device(flashed)
    assert attempt(device, new_bundle).error is None
    older = variant(old_bundle, tmp_path / "older.ecgb", "0.9.0")
    refused = attempt(device, older)
    assert isinstance(refused.error, GateError | BundleError)
    assert device.running() == "1.1.0"
    assert attempt(device, older, allow_downgrade=True).error is None
    assert device.running() == "0.9.0"


def test_a_model_that_is_too_slow(make_device: MakeDevice, flashed: Device, new_bundle: Path) -> None:
    device = make_device(flashed)
    refused = attempt(device, new_bundle, max_latency_ms=0.001)
    assert isinstance(refused.error, GateError)
    assert "too slow" in refused.error.what
    assert device.running() == "1.0.0"


def test_a_damaged_bundle_is_refused_here_already(flashed: Device, new_bundle: Path, tmp_path: Path) -> None:
    damaged = bytearray(new_bundle.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "damaged.ecgb").write_bytes(damaged)
    assert flashed.call("flash", str(tmp_path / "damaged.ecgb")) == 4
    assert flashed.running() == "1.0.0"


def test_dry_run_changes_nothing(
    make_device: MakeDevice, flashed: Device, new_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = make_device(flashed)
    before = sorted((path, path.lstat().st_mtime_ns) for path in device.home.root.rglob("*"))
    assert device.call("flash", str(new_bundle), "--dry-run", "--json") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["dry_run"], last["changed"], last["confirmed"]) == (True, False, False)
    assert sorted((path, path.lstat().st_mtime_ns) for path in device.home.root.rglob("*")) == before
    # Options may stand between the host and the bundle.
    words = ["--batch", "--ssh-config", str(device.client.config), "--dry-run"]
    assert main(["flash", device.name, *words, str(new_bundle)]) == 0
    assert "would get stress@" in capsys.readouterr().out


@pytest.mark.parametrize("address", ["foo:bar", "bt:Shimmer3", "ttyUSB0", "file:ecg.csv"])
def test_an_address_that_the_service_cannot_read_from_is_refused_first(
    flashed: Device, new_bundle: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flashed.call("flash", str(new_bundle), "--service", address) == 2
    told = capsys.readouterr().err
    assert told.startswith("edge-ecg: The service cannot read from this address: ")  # nobody connected
    assert flashed.running() == "1.0.0"


def test_dry_run_says_so_where_nothing_would_be_done(
    flashed: Device, old_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flashed.call("flash", str(old_bundle), "--dry-run") == 0
    assert "counts already; nothing was changed" in capsys.readouterr().out


def test_rollback_and_status_and_logs(
    make_device: MakeDevice, flashed: Device, new_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = make_device(flashed)
    assert attempt(device, new_bundle).error is None
    assert device.call("rollback", "--reason", "the ward prefers the old one") == 0
    assert "counts again" in capsys.readouterr().out
    assert device.running() == "1.0.0"
    # It is marked: only --again puts it back.
    assert isinstance(attempt(device, new_bundle).error, GateError)
    assert device.running() == "1.0.0"
    assert attempt(device, new_bundle, again=True).error is None
    assert device.running() == "1.1.0"

    assert device.call("status", "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["type"], status["host"], status["version"]) == ("status", device.name, "1.1.0")
    assert device.call("status") == 0
    assert "1.1.0" in capsys.readouterr().out

    # No journald here: the log is the file, where a supervisor writes one.
    assert device.call("logs") == 7
    assert "keeps no log" in capsys.readouterr().err
    (device.home.root / "service.log").write_text("one\ntwo\nthree\n")
    assert device.call("logs", "-n", "2", "--json") == 0
    lines = [json.loads(line)["line"] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["two", "three"]
    assert device.call("logs", "--since", "yesterday") == 7
    assert "has no times" in capsys.readouterr().err


def test_a_device_whose_runtime_is_broken_still_answers_and_goes_back(
    make_device: MakeDevice, flashed: Device, new_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = make_device(flashed)
    assert attempt(device, new_bundle).error is None
    broken = device.home.root / "broken" / "bin" / "edge-ecg"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/nowhere/python\n")
    broken.chmod(0o755)
    link = device.home.current / "runtime"
    link.unlink()
    link.symlink_to(broken.parent.parent)
    capsys.readouterr()
    assert device.call("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == "1.1.0"
    assert device.call("rollback", "--reason", "its runtime is broken") == 0
    assert device.running() == "1.0.0"


def test_a_runtime_without_its_program_is_told_and_does_not_count_as_there(
    make_device: MakeDevice, flashed: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    device = make_device(flashed)
    (runtime,) = device.home.runtimes.iterdir()
    whole = runtime.resolve()
    runtime.unlink()
    (runtime / "bin").mkdir(parents=True)  # what a dying card left
    (runtime / ".complete").touch()
    (runtime / "bin" / "python").symlink_to("/usr/bin/python3")
    for verb in ("status", "rollback"):
        assert device.call(verb) == 7
        assert "is broken" in capsys.readouterr().err
    with Remote(device.name, device.client.options()) as remote:
        assert probe(remote).runtimes == ()
    (runtime / "bin" / "edge-ecg").symlink_to(whole / "bin" / "edge-ecg")
    with Remote(device.name, device.client.options()) as remote:
        assert probe(remote).runtimes == (runtime.name,)


def test_nothing_flashed_yet(make_device: MakeDevice, capsys: pytest.CaptureFixture[str]) -> None:
    device = make_device(seeded=False)
    for verb in ("status", "rollback"):
        assert device.call(verb) == 7
        assert "Nothing has been flashed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["flash"],
        ["flash", "host", "bundle.ecgb", "--hosts", "fleet.toml"],
        ["flash", "stress.ecgb"],
        ["flash", "host", "--max-failures", "-1"],
        ["flash", "--for", "bookworm"],
        ["flash", "host", "--group", "x"],
        ["flash", "host", "--runtime", "no.whl"],
        ["flash", "-x"],
        ["rollback"],
        ["status", "host", "--hosts", "absent.toml"],
        ["logs", "host", "--since", "$(reboot)", "--batch"],
    ],
)
def test_wrong_usage_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_span_begins_with_a_minus_and_is_no_option(
    flashed: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flashed.call("logs", "--since", "-1h") == 7
    assert "keeps no log" in capsys.readouterr().err


def test_help_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("flash", "rollback", "status", "logs"):
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
        assert "--ssh-option" in capsys.readouterr().out
