"""Addresses and the table of what they open."""

from __future__ import annotations

from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.errors import EdgeEcgError, UsageError
from edge_ecg.sources import Address, open_source, parse_address
from edge_ecg.sources.registry import OPENERS


@pytest.mark.parametrize(
    ("text", "scheme", "target", "options"),
    [
        ("/dev/ttyUSB0", "serial", "/dev/ttyUSB0", {}),
        ("/dev/ttyUSB0?baud=9600", "serial", "/dev/ttyUSB0", {"baud": "9600"}),
        ("/tmp/a:b", "serial", "/tmp/a:b", {}),
        ("COM3", "serial", "COM3", {}),
        ("socket://pi:5007?fs=250", "socket", "pi:5007", {"fs": "250"}),
        ("RFC2217://pi:5007", "rfc2217", "pi:5007", {}),
        (
            "file:/data/a b%20.edf?speed=max&channel=ECG%26x",
            "file",
            "/data/a b%20.edf",
            {"speed": "max", "channel": "ECG&x"},
        ),
        ("file:rec.csv?Speed=1", "file", "rec.csv", {"speed": "1"}),
        ("sim:", "sim", "", {}),
        ("sim:shimmer3?hr=80", "sim", "shimmer3", {"hr": "80"}),
        ("bt:00:06:66:AA:BB:CC", "bt", "00:06:66:AA:BB:CC", {}),
        ("ble:Polar H10 1234", "ble", "Polar H10 1234", {}),
    ],
)
def test_parts(text: str, scheme: str, target: str, options: dict[str, str]) -> None:
    address = parse_address(text)
    assert address == Address(scheme, target, options, text)
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "  ", "/dev/ttyUSB0?", "sim:?x", "sim:?=;"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_address(text).require_known(())
    assert raised.value.remedy


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except UsageError:
        return
    assert address.text == text


def test_options() -> None:
    address = parse_address("sim:?a=1.5&b=max&c=x&d=nan&e=LL-ra")
    assert address.number("a", 0.0, minimum=1, maximum=2) == 1.5
    assert address.number("missing", 7.0) == 7.0
    assert address.number("b", 1.0, words={"max": 0.0}) == 0.0
    assert address.choice("e", "x", ("LL-RA", "LA-RA")) == "LL-RA"
    assert address.choice("missing", "LA-RA", ("LL-RA", "LA-RA")) == "LA-RA"
    with pytest.raises(UsageError, match="c=x"):
        address.number("c", 0.0)
    with pytest.raises(UsageError, match="d=nan"):
        address.number("d", 0.0)
    with pytest.raises(UsageError, match="from 2 to 3"):
        address.number("a", 0.0, minimum=2, maximum=3)
    with pytest.raises(UsageError, match="LL-RA, LA-RA"):
        address.choice("c", "LL-RA", ("LL-RA", "LA-RA"))
    with pytest.raises(UsageError, match=r"unknown option 'e'.*a, b, c, d"):
        address.require_known("abcd")


@pytest.mark.parametrize("scheme", OPENERS)
def test_every_row_of_the_table_leads_to_an_opener(scheme: str) -> None:
    module, function = OPENERS[scheme]
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("scheme", OPENERS)
def test_every_opener_refuses_an_unknown_option_or_a_missing_target(scheme: str) -> None:
    target = {"sim": "sim:", "serial": "/nowhere/port"}.get(scheme, f"{scheme}://localhost:1")
    with pytest.raises(EdgeEcgError) as raised:
        open_source(f"{target}?surely_unknown=1")
    assert raised.value.exit_code in (2, 5)


def test_unknown_scheme_and_a_file_without_one(tmp_path: object) -> None:
    with pytest.raises(UsageError, match="unknown scheme, 'cyton'"):
        open_source("cyton:1")
    path = f"{tmp_path}/rec.csv"
    with open(path, "w") as file:
        file.write("1\n")
    with pytest.raises(UsageError, match="is a file, not a port") as raised:
        open_source(f"{path}?x=1")
    assert f"file:{path}?x=1" in raised.value.remedy
