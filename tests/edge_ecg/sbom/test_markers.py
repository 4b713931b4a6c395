"""Markers and licence expressions: equal to the packages that the rest of the world reads them with."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import default_environment
from packaging.requirements import Requirement as Reference

from edge_ecg.errors import DataError
from edge_ecg.sbom.markers import normalised, parse_requirement, this_environment
from edge_ecg.sbom.spdx import evaluate, licences

PI = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.2",
    "os_name": "posix",
    "platform_machine": "aarch64",
    "platform_python_implementation": "CPython",
    "platform_release": "6.6.51+rpt-rpi-v8",
    "platform_system": "Linux",
    "platform_version": "#1 SMP",
    "python_full_version": "3.11.2",
    "python_version": "3.11",
    "sys_platform": "linux",
}


def test_this_environment_is_the_one_that_pip_sees() -> None:
    assert this_environment() == {**default_environment()}


TEXTS = st.sampled_from(["aarch64", "armv7l", "linux", "win32", "Linux", "CPython", "posix", ""])
VERSIONS = st.sampled_from(["3.9", "3.11", "3.11.2", "3.12", "3.13.0", "4", "3.11.*", "3.*"])
TEXT_VARIABLES = st.sampled_from(
    ["os_name", "platform_machine", "platform_system", "sys_platform", "platform_python_implementation"]
)
QUOTES = st.sampled_from(["'", '"'])


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    quote = draw(QUOTES)
    if draw(st.booleans()):
        name, value = draw(TEXT_VARIABLES), draw(TEXTS)
        comparison = draw(st.sampled_from(["==", "!=", "in", "not in", "not  in"]))
    else:
        name, value = draw(st.sampled_from(["python_version", "python_full_version"])), draw(VERSIONS)
        star = value.endswith("*")
        usual = ["==", "!="] if star else ["==", "!=", "<", ">", "<=", ">="]
        comparison = draw(st.sampled_from(usual if star or "." not in value else [*usual, "~="]))
    space = draw(st.sampled_from([" ", "  "]))
    return f"{name}{space}{comparison}{space}{quote}{value}{quote}"


MARKERS = st.recursive(
    comparisons() | st.sampled_from(["extra == 'lsl'", "extra == 'HDF5'", "extra != 'lsl'"]),
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner, st.booleans()).map(
        lambda four: f"({four[0]} {four[1]} {four[2]})" if four[3] else f"{four[0]} {four[1]} {four[2]}"
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(MARKERS)
def test_a_marker_holds_where_packaging_says_so(marker: str) -> None:
    line = f"some.Package[a, B_c] >=1.2,!=1.3 ; {marker}"
    ours, reference = parse_requirement(line), Reference(line)
    assert ours.name == "some-package" == normalised(reference.name)
    assert set(ours.extras) == {"a", "b-c"}
    assert reference.marker is not None
    for extras in ((), ("lsl",), ("hdf5", "lsl")):
        expected = any(reference.marker.evaluate({**PI, "extra": extra}) for extra in ("", *extras))
        assert ours.holds(PI, extras) == expected


@pytest.mark.parametrize(
    ("line", "name", "versions"),
    [
        ("numpy>=1.24", "numpy", ">=1.24"),
        ("numpy", "numpy", ""),
        ("bleak (>=3.0)", "bleak", "(>=3.0)"),
        (
            "thing @ https://example.org/thing.whl ; python_version > '3'",
            "thing",
            "@ https://example.org/thing.whl",
        ),
    ],
)
def test_forms_of_requirements(line: str, name: str, versions: str) -> None:
    found = parse_requirement(line)
    assert (found.name, found.versions) == (name, versions)
    assert found.holds(PI)


@settings(deadline=None)
@given(st.text(st.sampled_from("python_version os_name extra and or in not ()<>=!~'\"3.11a"), max_size=40))
def test_whatever_a_marker_reads_it_is_read_or_refused(marker: str) -> None:
    try:
        parse_requirement(f"x; {marker}").holds(PI, ("a",))
    except DataError as error:
        assert "cannot be read" in error.what  # noqa: PT017


NAMES = ["MIT", "Apache-2.0", "GPL-2.0-only", "Apache-2.0 WITH LLVM-exception"]
EXPRESSIONS = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner, st.booleans()).map(
        lambda four: f"({four[0]} {four[1]} {four[2]})" if four[3] else f"{four[0]} {four[1]} {four[2]}"
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(EXPRESSIONS, st.sets(st.sampled_from(NAMES)))
def test_an_expression_is_met_as_logic_has_it(expression: str, accepted: set[str]) -> None:
    # Python's own `and` and `or` bind as SPDX's do.
    words = expression
    for name in sorted(NAMES, key=len, reverse=True):
        words = words.replace(name, str(name in accepted))
    assert evaluate(expression, accepted.__contains__) == eval(
        words.replace("AND", "and").replace("OR", "or")
    )
    assert set(licences(expression)) == {name for name in NAMES if name in _leaves(expression)}


def _leaves(expression: str) -> list[str]:
    plain = expression.replace("(", "").replace(")", "")
    return [leaf for part in plain.split(" AND ") for leaf in part.split(" OR ")]


@pytest.mark.parametrize(
    "text", ["", "MIT AND", "(MIT", "MIT)", "MIT MIT", "AND", "MIT WITH", "MIT WITH (", "MIT / BSD", "MIT\0"]
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ValueError, match=r"expression|missing|closed|end"):
        licences(text)
