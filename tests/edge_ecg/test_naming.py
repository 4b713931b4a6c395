"""Addresses without names: what stands in records of a file that is called after somebody."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.naming import nameless, without_file_name


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("file:/study/Anna Berg 1980.edf", "file:*.edf"),
        ("file:anna.EDF?speed=max&channel=II", "file:*.EDF?speed=max&channel=II"),
        ("FILE:anna.csv", "file:*.csv"),
        ("file:all.npz?key=anna&fs=250", "file:*.npz?fs=250"),
        # A bare path of `replay` may hold a question mark; what follows is no option then.
        ("file:who?anna.edf", "file:*"),
        ("file:dr.berg", "file:*"),
        ("file:", "file:*"),
        ("/dev/ttyUSB0?baud=115200", "/dev/ttyUSB0?baud=115200"),
        ("ble:Polar H10 12345678", "ble:Polar H10 12345678"),
        ("sim:shimmer3?hr=80", "sim:shimmer3?hr=80"),
        ("sim:", "sim:"),
        ("sim:?From=file:anna.csv&loop=yes", "sim:?From=file:*.csv&loop=yes"),
        (
            "sim:text?line=us,adc&from=file%3Aanna.csv%3Ffs=250",
            "sim:text?line=us,adc&from=file:*.csv%3Ffs%3D250",
        ),
    ],
)
def test_only_the_path_of_a_file_is_taken_away(address: str, expected: str) -> None:
    assert nameless(address) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "/study/anna.edf is truncated: 3 of 4 records are there.",
            "*.edf is truncated: 3 of 4 records are there.",
        ),
        ("anna.edf holds no samples.", "*.edf holds no samples."),
        ("The sum of anna.dat is wrong.", "The sum of *.dat is wrong."),
        ("anna.edf, annals, hosanna", "*.edf, annals, hosanna"),
    ],
)
def test_a_message_of_a_failure_does_not_name_the_file(text: str, expected: str) -> None:
    assert without_file_name(text, "file:/study/anna.edf?speed=max") == expected
    assert without_file_name(text, "sim:shimmer3?hr=80&from=file:/study/anna.edf") == expected
    assert without_file_name(text, "/dev/ttyUSB0") == text


NAMES = st.text(st.characters(codec="ascii", categories=["L"]), min_size=9, max_size=20)


@settings(deadline=None)
@given(NAMES, st.sampled_from(["", ".edf", ".hea", ".csv"]), st.sampled_from(["", "?speed=max", "?key={}"]))
def test_no_name_of_a_file_gets_through(name: str, ending: str, options: str) -> None:
    address = f"file:/home/{name}/{name}{ending}{options.format(name)}"
    assert name not in nameless(address)
    assert name not in nameless(f"sim:?from={quote(address)}&loop=yes")
    assert name not in without_file_name(f"{address[5:].partition('?')[0]} broke: {name}{ending}", address)
