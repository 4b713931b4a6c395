"""The table of verbs and how failures are printed, in this process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from edge_ecg import cli, errors
from edge_ecg.cli import Verb, _VerbParser, main
from edge_ecg.sources import lsl_link


def install(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[argparse.Namespace], int], extra: str = ""
) -> None:
    """Put a verb ``probe`` with a sub-verb ``deep`` into the table."""
    module = ModuleType("probe_verb")

    def configure(parser: argparse.ArgumentParser) -> None:
        parser.add_subparsers(dest="sub").add_parser("deep")

    module.configure, module.run = configure, run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "probe_verb", module)
    monkeypatch.setitem(cli.VERBS, "probe", Verb("probe_verb", "a verb for this test", extra))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.DeviceError, 3),
        (errors.BundleError, 4),
        (errors.DataError, 5),
        (errors.GateError, 6),
        (errors.RemoteError, 7),
    ],
)
def test_a_foreseen_failure_is_three_lines_and_its_exit_code(
    kind: type[errors.EdgeEcgError],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(_: argparse.Namespace) -> int:
        raise kind("It broke.", why="It fell.", remedy="Lift it.")

    install(monkeypatch, run)
    assert main(["probe"]) == code
    assert capsys.readouterr() == ("", "edge-ecg: It broke.\n  why: It fell.\n  try: Lift it.\n")


def test_what_is_not_known_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        raise errors.DataError("It broke.")

    install(monkeypatch, run)
    main(["probe"])
    assert capsys.readouterr().err == "edge-ecg: It broke.\n"


@pytest.mark.parametrize(
    "words",
    [
        ("HOST", "BUNDLE", "--option", "x"),
        ("HOST", "--option", "x", "BUNDLE"),
        ("--option", "x", "HOST", "BUNDLE"),
        ("--option", "x", "--", "HOST", "BUNDLE"),
    ],
    ids=" ".join,
)
def test_options_may_stand_between_words_that_may_be_left_out(words: tuple[str, ...]) -> None:
    parser = _VerbParser()
    parser.add_argument("host", nargs="?")
    parser.add_argument("bundle", nargs="?")
    parser.add_argument("--option")
    found = parser.parse_args(words)
    assert (found.host, found.bundle, found.option) == ("HOST", "BUNDLE", "x")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: argparse.Namespace) -> int:
        raise ZeroDivisionError

    install(monkeypatch, run)
    with pytest.raises(ZeroDivisionError):
        main(["probe"])


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    install(monkeypatch, run)
    assert main(["probe"]) == 130


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("probe", False),
        ("probe --json", True),
        ("probe deep", False),
        ("probe deep --json", True),
        ("probe --json deep", True),
    ],
)
def test_json_is_there_for_verbs_and_sub_verbs(
    line: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def run(args: argparse.Namespace) -> int:
        seen.append(args.json)
        return 0

    install(monkeypatch, run)
    assert main(line.split()) == 0
    assert seen == [expected]


def test_a_missing_extra_is_named_with_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: argparse.Namespace) -> int:
        import package_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401

        return 0

    install(monkeypatch, run, extra="train")
    assert main(["probe"]) == 2
    message = capsys.readouterr().err
    assert "`edge-ecg probe` needs the Python package 'package_that_nobody_has'" in message
    assert "pip install 'edge-ecg[train]'" in message


def test_a_missing_module_of_our_own_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.VERBS, "probe", Verb("edge_ecg.cli.nowhere", "not there"))
    with pytest.raises(ModuleNotFoundError, match=r"edge_ecg\.cli\.nowhere"):
        main(["probe"])


@pytest.mark.parametrize(
    "words", ["device status", "forget --list", "enrol --demo --duration 30", "config show"]
)
def test_a_user_without_a_home_is_told_what_to_set(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "EDGE_ECG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert main(words.split()) == 2
    assert "try: Name a folder" in capsys.readouterr().err
    # Of a library's settings in the home there are none then.
    monkeypatch.setattr(lsl_link, "_quiet", False)
    lsl_link._keep_quiet(object())


def test_a_file_of_a_user_who_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--port", "file:~no-such-user/rest.csv"]) == 5
    assert "edge-ecg: " in capsys.readouterr().err


def test_a_folder_that_has_been_removed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert main(["doctor"]) == 2
    assert "The folder that you are in has been removed." in capsys.readouterr().err


def test_any_other_file_that_is_not_there_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: argparse.Namespace) -> int:
        raise FileNotFoundError("x")

    install(monkeypatch, run)
    with pytest.raises(FileNotFoundError):
        main(["probe", "deep"])
