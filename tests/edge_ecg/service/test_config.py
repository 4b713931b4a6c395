"""The configuration: read, refused with every problem in its place, and written from the same table."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.cli import main
from edge_ecg.errors import UsageError
from edge_ecg.service.config import MAX_BYTES, ConfigError, Problem, load_config, parse_config
from edge_ecg.service.render import (
    commented_file,
    effective_file,
    reference,
    toml_value,
    value_of,
    write_new,
)
from edge_ecg.service.schema import SECTIONS, Key, ServiceConfig, keys
from edge_ecg.service.values import Value

FILE = Path("/etc/config.toml")
DOCS = Path(__file__).parents[3] / "docs"

# What each key takes, written by hand and not derived from the checker.
_PATHS = st.from_regex(r"/[a-z0-9 äß%:$'._-]{0,20}", fullmatch=True)
GOOD: dict[str, st.SearchStrategy[Value]] = {
    "source.port": st.sampled_from(
        [
            "/dev/ttyUSB0?baud=9600",
            "bt:00:06:66:AA:BB:CC",
            "ble:Polar H10",
            "sim:",
            "socket://pi:7000",
            "lsl:ECG",
        ]
    ),
    "source.device": st.sampled_from(["shimmer3", "text", "cyton"]),
    "model.bundle": _PATHS,
    "model.engine": st.sampled_from(["auto", "onnx", "litert-int8"]),
    "model.hop_s": st.floats(0.1, 60),
    "model.context_s": st.floats(0, 3600) | st.integers(0, 3600),
    "model.notch_hz": st.sampled_from([50, 60]),
    "model.profile": _PATHS,
    "record.directory": _PATHS,
    "record.rotate_minutes": st.floats(1, 1440),
    "record.limit_mb": st.integers(1, 1_000_000),
    "record.when_full": st.sampled_from(["stop", "oldest"]),
    "record.min_free_mb": st.integers(0, 1_000_000),
    "output.journal": st.sampled_from(["events", "changes", "decisions", "records"]),
    "output.file": _PATHS,
    "output.file_limit_mb": st.integers(1, 100_000),
    "service.log_level": st.sampled_from(["error", "warning", "notice", "info", "debug"]),
    "service.watchdog_s": st.integers(10, 600),
    "service.start_timeout_s": st.integers(20, 1800),
}
BAD: dict[str, list[str]] = {
    "source.port": [
        '""',
        "3",
        '"blee:x"',
        '"ttyUSB0"',
        '"file:ecg.csv"',
        '"sim:?"',
        '"/dev/tty\\u0000"',
        "true",
        '"bt:Shimmer3"',
        '"bt:00:06:66:AA:BB:CC/31"',
        '"ble:"',
        '"ble:Polar?adaptor=hci1"',
        '"lsl:ECG?unit=furlong"',
        '"socket://pi"',
        '"/dev/ttyUSB0?baud=fast"',
        '"rfc2217://pi:7000?bad=1"',
        '"sim:toaster"',
        '"sim:?fault=nope"',
    ],
    "source.device": ['"toaster"', "1", "[]"],
    "model.bundle": ['"other.ecgb"', '"~/x"', "1.0", '"/a\\nb"'],
    "model.engine": ['"tensorrt"', "0"],
    "model.hop_s": ["0", "-1", "61.0", "nan", "inf", '"1"', "true"],
    "model.context_s": ["-0.1", '"long"', "nan"],
    "model.notch_hz": ["55", "50.0", "true", '"50"'],
    "model.profile": ['"profile.json"', "{}"],
    "record.directory": ['"."', "0"],
    "record.rotate_minutes": ["0", "1441", "false"],
    "record.limit_mb": ["0", "1.5", '"1"', "true"],
    "record.when_full": ['"newest"', "true"],
    "record.min_free_mb": ["-1", "1e3"],
    "output.journal": ['"all"', "1"],
    "output.file": ['"decisions.jsonl"', "true"],
    "output.file_limit_mb": ["0", "[1]"],
    "service.log_level": ['"warn"', "3", '"INFO"'],
    "service.watchdog_s": ["9", "601", "30.0", "true"],
    "service.start_timeout_s": ["19", '"2min"', "1979-05-27"],
}
CONFIGS = st.fixed_dictionaries({}, optional=GOOD)


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, FILE)
    return caught.value.problems


def test_the_tables_of_this_test_know_every_key() -> None:
    assert [key.path for key in keys()] == list(GOOD) == list(BAD)


def test_an_empty_file_is_the_defaults() -> None:
    assert parse_config("", FILE) == ServiceConfig()
    assert ServiceConfig().source.port is None
    assert ServiceConfig().model.hop_s == 1.0


def test_the_commented_file_holds_every_key_and_changes_nothing() -> None:
    assert parse_config(commented_file(), FILE) == ServiceConfig()
    # What stands behind a # is the default, or an example that would do.
    bare = "\n".join(
        line.removeprefix("#") if not line.startswith("# ") else "" for line in commented_file().split("\n")
    )
    read = tomllib.loads(bare)
    assert {f"{section}.{name}" for section in read for name in read[section]} == {key.path for key in keys()}
    config = parse_config(bare, FILE)
    for key in keys():
        assert value_of(config, key) == (key.example if key.default is None else key.default)


@settings(max_examples=30)
@given(CONFIGS)
def test_what_is_written_is_read(values: dict[str, Value]) -> None:
    config = parse_config(commented_file(values), FILE)
    for key in keys():
        assert value_of(config, key) == values.get(key.path, key.default)
    assert parse_config(effective_file(config), FILE) == config


@pytest.mark.parametrize(("path", "text"), [(path, text) for path, texts in BAD.items() for text in texts])
def test_a_wrong_value_is_refused_in_its_place(path: str, text: str) -> None:
    section, name = path.split(".")
    found = problems(f"# a comment\n\n[{section}]\n{name} = {text}\n")
    assert [(problem.line, problem.key) for problem in found] == [(4, path)]
    assert name in found[0].sentence


@given(CONFIGS, st.lists(st.sampled_from(sorted(BAD)), unique=True, min_size=1), st.data())
def test_all_problems_are_told_at_once_each_on_its_line(
    good: dict[str, Value], wrong: list[str], data: st.DataObject
) -> None:
    lines: list[str] = []
    expected = []
    for section in data.draw(st.permutations(list(SECTIONS))):
        lines.append(f"[{section}]")
        for key in keys(section):
            if key.path in wrong:
                lines += data.draw(st.sampled_from([[], ["# [model]"], [""], ["# port = 3", ""]]))
                lines.append(f"{key.name} = {data.draw(st.sampled_from(BAD[key.path]))}")
                expected.append((len(lines), key.path))
            elif key.path in good:
                lines.append(f"{key.name} = {toml_value(good[key.path])}")
    assert [(one.line, one.key) for one in problems("\n".join(lines))] == expected


@pytest.mark.parametrize("key", [*keys()], ids=lambda key: key.path)
@given(st.data())
def test_a_slip_of_the_pen_is_understood(key: Key, data: st.DataObject) -> None:
    """One letter left out or said twice still names its key."""
    at = data.draw(st.integers(0, len(key.name) - 1))
    slip = key.name[:at] + data.draw(st.sampled_from(["", key.name[at] * 2])) + key.name[at + 1 :]
    if slip in {other.name for other in keys()}:
        return
    (problem,) = problems(f"[{key.section}]\n{slip} = 1\n")
    assert f"Did you mean `{key.name}`?" in problem.sentence
    assert problem.line == 2


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[sorce]\nport = 3", 1, "Did you mean [source]?"),
        ("\n[zzz]", 2, "There is no section [zzz]."),
        ("hop_s = 2", 1, "below [model]"),
        ("[source]\nhop_s = 2", 2, "belongs below [model]"),
        ("source = 1", 1, "`source` is a section"),
        ("[[source]]\nport = 'sim:'", 1, "`source` is a section"),
        ("source.prot = 'sim:'", 1, "Did you mean `port`?"),
        ("source = {device = 'text', prot = 'sim:'}", 1, "Did you mean `port`?"),
        ("[source]\nport = sim:", 2, "This is no TOML"),
        ("[source]\nport = 'a'\nport = 'b'", 3, "This is no TOML"),
        ("[model]\nhop_s = 2\n[source]\nzzz = [\n  1,\n\n]\nprot = 1", 4, "It knows port, device"),
        ('[source]\ndevice = """\nport = 3\n"""\nprot = 1', 2, "control character"),
        ("[source.port]\nx = 1", 1, "port: {'x': 1} is not an address"),
    ],
)
def test_words_and_place_of_a_problem(text: str, line: int, words: str) -> None:
    found = problems(text)
    assert found[0].line == line
    assert words in found[0].sentence


@given(st.text() | st.text(alphabet="[]=\"'{}\n#.,sourceprtmdl 0123", max_size=60))
def test_no_text_is_too_strange(text: str) -> None:
    try:
        config = parse_config(text, FILE)
    except ConfigError as error:
        found = error
    else:
        assert isinstance(config, ServiceConfig)
        return
    assert found.problems
    assert found.exit_code == 2


def test_deep_nesting_is_refused_not_fallen_over() -> None:
    (problem,) = problems("x = " + "[" * 5000)
    assert "no TOML" in problem.sentence


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[source]\nport = '\xff'", "no UTF-8"),
        (b"#" * (MAX_BYTES + 1), "far too large"),
        (None, "There is no configuration"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, data: bytes | None, words: str) -> None:
    path = tmp_path / "config.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        load_config(path)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf[source]\r\nport = 'sim:'\r\n")
    assert load_config(path).source.port == "sim:"


# -- the verb ------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_ECG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


Output = Callable[[], tuple[str, str]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Output:
    def read() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    return read


def test_init_check_show(home: Path, printed: Output) -> None:
    assert main(["config", "init", "--port", "ble:Polar H10"]) == 0
    path = home / "config.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert main(["config", "check"]) == 0
    assert "in order" in printed()[0]
    assert main(["config", "show"]) == 0
    assert parse_config(printed()[0], path).source.port == "ble:Polar H10"
    assert main(["config", "show", "--json"]) == 0
    shown = json.loads(printed()[0])
    assert shown.pop("type") == "config"
    assert shown.pop("file") == str(path)
    assert shown == asdict(load_config(path))


def test_init_never_overwrites_unless_asked(home: Path, printed: Output) -> None:
    path = home / "config.toml"
    path.parent.mkdir()
    path.write_text("[source]\nport = 'sim:'\n")
    assert main(["config", "init"]) == 2
    assert "already" in printed()[1]
    assert load_config(path).source.port == "sim:"
    assert main(["config", "init", "--force"]) == 0
    assert load_config(path) == ServiceConfig()


def test_init_refuses_a_port_before_anything_is_written(home: Path) -> None:
    assert main(["config", "init", "--port", "blee:x"]) == 2
    assert not home.exists()


def test_check_prints_every_problem_and_ends_with_2(tmp_path: Path, printed: Output) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[source]\nprot = 'sim:'\n[model]\nhop_s = 0\n")
    assert main(["config", "check", str(path)]) == 2
    out, err = printed()
    assert out == ""
    assert err.splitlines() == [
        f"{path}:2: There is no key `prot` in [source]. Did you mean `port`?",
        f"{path}:4: hop_s: 0 is not a number, 0.1 to 60 seconds.",
    ]
    assert main(["config", "check", "--json", str(path)]) == 2
    rows = [json.loads(line) for line in printed()[0].splitlines()]
    assert [(row["type"], row["line"], row["key"]) for row in rows] == [
        ("problem", 2, "source.prot"),
        ("problem", 4, "model.hop_s"),
    ]


def test_check_without_a_file_names_the_command(home: Path, printed: Output) -> None:
    assert main(["config", "check"]) == 2
    assert f"edge-ecg config init '{home / 'config.toml'}'" in printed()[1]


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_new(tmp_path / "file" / "config.toml", "")


def test_a_half_written_file_is_no_hindrance(tmp_path: Path) -> None:
    os.symlink("/nowhere", tmp_path / "config.toml.part")
    write_new(tmp_path / "config.toml", "x")
    assert (tmp_path / "config.toml").read_text() == "x"


def test_the_documentation_is_the_schema() -> None:
    assert reference() in (DOCS / "service.md").read_text(encoding="utf-8")
