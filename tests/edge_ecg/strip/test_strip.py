"""Strips: every spike is drawn, holes and electrodes that are off are seen, the scale is that of paper."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.samples import SampleBlock
from edge_ecg.strip import Piece, Stretch, Trace
from edge_ecg.strip.braille import Canvas
from edge_ecg.strip.keys import names
from edge_ecg.strip.paper import GAINS_MM_MV, Paper, fitting_gain
from edge_ecg.strip.svg import picture
from edge_ecg.strip.terminal import AXIS, draw, seconds_across
from edge_ecg_bridge.synthetic import SyntheticEcg

FS_HZ = 256.0
SVG = "{http://www.w3.org/2000/svg}"


def heart(seconds: float) -> np.ndarray:
    beats, found = SyntheticEcg(noise_mv=0.0, wander_mv=0.0)(FS_HZ), np.zeros(0)
    while len(found) < seconds * FS_HZ:
        found = np.concatenate([found, next(beats)])
    return found[: round(seconds * FS_HZ)]


def traced(
    ecg_mv: np.ndarray, *, hole: tuple[int, int] | None = None, off: tuple[int, int] = (0, 0)
) -> Trace:
    trace = Trace(FS_HZ)
    lead_off = np.zeros(len(ecg_mv), dtype=np.bool_)
    lead_off[slice(*off)] = True
    for first in range(0, len(ecg_mv), 64):
        part = slice(first, first + 64)
        block = SampleBlock(ecg_mv[part], FS_HZ, first, lead_off=lead_off[part])
        if hole is None or not hole[0] <= first < hole[1]:
            trace.write(block)
    return trace


def test_a_trace_gives_back_what_came_in_any_cut() -> None:
    ecg_mv = heart(20.0)
    whole = Trace(FS_HZ)
    whole.write(SampleBlock(ecg_mv + 120.0, FS_HZ, 0))  # an electrode's offset is taken out
    one, many = whole.stretch(2.0, 18.0), traced(ecg_mv).stretch(2.0, 18.0)
    np.testing.assert_allclose(one.ecg_mv, many.ecg_mv, atol=1e-6)
    assert len(one.ecg_mv) == 16 * 256
    np.testing.assert_array_equal(one.pieces[0].time_s, np.arange(512, 4608) / FS_HZ)
    # The beats are where the largest values are.
    peaks = ecg_mv > 0.9
    assert len(many.beats_s) == pytest.approx(19, abs=2)
    assert all(peaks[round(at_s * FS_HZ)] for at_s in many.beats_s)


def test_a_trace_keeps_the_last_seconds_and_its_holes() -> None:
    trace = Trace(FS_HZ, keep_s=5.0)
    for first in range(0, 60 * 256, 64):
        if first not in (57 * 256, 10 * 256):
            trace.write(SampleBlock(np.zeros(64), FS_HZ, first))
        if first % 2560 == 0:
            trace.mark(first / FS_HZ, str(first))
    assert trace.end_s == 60.0
    assert 54.7 <= trace.start_s <= 55.0
    (hole,) = trace.stretch(0.0, 60.0).holes
    assert (hole.lost_samples, hole.to_s) == (64, 57.25)
    assert [mark.label for mark in trace.stretch(0.0, 60.0).marks] == []
    assert len(trace.stretch(57.0, 60.0).ecg_mv) == round(2.75 * 256)


@settings(deadline=None)
@given(
    st.lists(st.floats(-50, 90), min_size=1, max_size=80),
    st.floats(0.01, 3.0),
    st.floats(-20, 20),
)
def test_no_height_of_a_curve_is_lost(heights: list[float], step: float, first: float) -> None:
    x = first + step * np.arange(len(heights))
    y = np.array(heights)
    canvas = Canvas(12, 10)
    canvas.curve(x, y)
    for at, height in zip(x, y, strict=True):
        if 0 <= at < 24 and 0 <= height <= 39:
            assert canvas.dots[int(np.floor(height + 0.5)), int(at)]
    # Every column of dots between the first and the last has one, if the line is within the canvas.
    if (y >= 0).all() and (y <= 39).all():
        inside = canvas.dots.any(axis=0)[max(int(np.floor(x[0])), 0) : max(int(np.floor(x[-1])) + 1, 0)]
        assert inside.all()


def test_dots_become_the_characters_of_the_standard() -> None:
    canvas = Canvas(2, 1)
    canvas.dots[:, 0] = True
    canvas.dots[3, 3] = True
    # U+2847: dots 1, 2, 3 and 7; U+2880: dot 8.
    assert canvas.characters() == [["\u2847", "\u2880"]]


def test_the_scale_is_that_of_paper() -> None:
    # A square wave of 1 mV.
    time_s = np.arange(2048) / FS_HZ
    square = np.where(time_s // 0.2 % 2 < 1, 0.5, -0.5)
    nothing = np.zeros(2048, dtype=np.bool_)
    paper = Paper()
    assert seconds_across(80, paper) == pytest.approx((80 - AXIS) * 2 * 0.625 / 25)
    piece = Piece(time_s, square, nothing, nothing)
    stretch = Stretch(4.0, 4.0 + seconds_across(80, paper), (piece,), (), (), np.zeros(0))
    lines = [line.plain for line in draw(stretch, 80, 18, paper, plain=True)]
    assert {len(line) for line in lines} == {80}
    curve = [line[AXIS:] for line in lines[1:-1]]
    rows = [index for index, line in enumerate(curve) if "*" in line]
    # From the lower edge to the upper one: 16 dots, which are four rows.
    assert rows == [6, 7, 8, 9, 10]
    # Grid: 0.2 s are four columns, seconds stand 20 columns apart.
    assert [match.start() for match in re.finditer("'", lines[-1])] == [AXIS, AXIS + 20, AXIS + 40, AXIS + 60]
    grid = [match.start() for match in re.finditer(r"\.", curve[0])]
    assert set(np.diff(grid)) == {4}


def test_holes_electrodes_and_marks_are_seen() -> None:
    trace = traced(heart(12.0), hole=(1280, 1536), off=(1792, 2048))
    trace.mark(4.5, "rest\x1b[2J")
    stretch = trace.stretch(4.0, 8.0)
    lines = draw(stretch, 100, 18, Paper())
    top = lines[0].plain
    assert "┃rest[2J" in top
    assert "256 lost" in top
    assert "xxxx" in top
    assert "▾" in top
    assert not re.search(r"[\x00-\x1f]", "".join(line.plain for line in lines))
    hatched = [match.start() - AXIS for match in re.finditer("░", lines[5].plain)]
    assert hatched[0] == pytest.approx(20, abs=1)
    assert len(hatched) == pytest.approx(20, abs=1)
    # One lost sample is seen, too.
    short = Trace(FS_HZ)
    short.write(SampleBlock(np.zeros(512), FS_HZ, 0))
    short.write(SampleBlock(np.zeros(512), FS_HZ, 513, gap_before=1))
    assert draw(short.stretch(0.0, 4.0), 80, 18, Paper())[3].plain.count("░") >= 1


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(40, 250),
    height=st.integers(8, 60),
    begin_s=st.floats(0, 14),
    speed=st.sampled_from([12.5, 25.0, 50.0]),
    gain=st.sampled_from(GAINS_MM_MV),
    plain=st.booleans(),
)
def test_a_strip_always_fits(
    width: int, height: int, begin_s: float, speed: float, gain: float, plain: bool
) -> None:
    paper = Paper(speed, gain)
    stretch = TRACE.stretch(begin_s, begin_s + seconds_across(width, paper))
    lines = draw(stretch, width, height, paper, plain=plain)
    assert len(lines) == height
    assert {line.cell_len for line in lines} == {width}
    if plain:
        assert all(line.plain.isascii() for line in lines)


TRACE = traced(heart(14.0), hole=(1280, 1536), off=(1792, 2048))


@pytest.mark.parametrize(
    ("mv", "expected"), [(0.2, 40.0), (0.6, 20.0), (1.2, 10.0), (2.5, 5.0), (30.0, 2.5), (0.0, 40.0)]
)
def test_the_gain_is_the_largest_that_fits(mv: float, expected: float) -> None:
    assert fitting_gain(np.array([0.0, mv, -mv / 2] * 200), 30.0) == expected
    assert fitting_gain(np.zeros(0), 30.0) == 10.0


def test_speeds_and_gains_end_at_their_last() -> None:
    paper = Paper()
    for _ in range(9):
        paper = paper.faster(1).larger(-1)
    assert (paper.mm_per_s, paper.mm_per_mv) == (50.0, 2.5)
    assert str(paper) == "50 mm/s  2.5 mm/mV"


def numbers(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in text.split())]


def test_a_picture_is_in_millimetres_and_holds_nothing_else() -> None:
    trace = traced(heart(24.0), hole=(2560, 2816), off=(4352, 4608))
    trace.mark(1.0, "rest & <more>\x1b")
    stretch = trace.stretch(0.0, 24.0)
    text = picture(stretch, Paper(), "a title", "a note")
    root = ElementTree.fromstring(text)
    assert root.get("width", "").endswith("mm")
    assert root.get("viewBox") == f"0 0 {root.get('width', '')[:-2]} {root.get('height', '')[:-2]}"
    rows = root.findall(f"{SVG}g")
    assert len(rows) == 3
    # The first row's curve, back to seconds and millivolts.
    first = [numbers(line.get("points", "")) for line in rows[0].iter(f"{SVG}polyline")]
    points = np.concatenate([np.array(line) for line in first])
    piece = stretch.pieces[0].within(0.0, 10.0)
    np.testing.assert_allclose((points[:, 0] - 10.0) / 25.0, piece.time_s, atol=0.0003)
    zero = np.median(points[:, 1] + piece.ecg_mv * 10.0)
    np.testing.assert_allclose((zero - points[:, 1]) / 10.0, piece.ecg_mv, atol=0.002)
    # The hole and the electrode that was off, where they were.
    (hole,) = rows[1].findall(f"{SVG}rect[@class='hole']")
    assert float(hole.get("x", "")) == pytest.approx(10.0, abs=0.3)
    assert float(hole.get("width", "")) == pytest.approx(25.0, abs=0.3)
    (band,) = rows[1].findall(f"{SVG}rect[@class='band']")
    assert float(band.get("x", "")) == pytest.approx(10.0 + 7.0 * 25.0, abs=0.1)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"rest & <more>", "256 samples lost", "electrode off", "a title", "a note"} <= set(texts)
    beats = [element for element in root.iter(f"{SVG}path") if element.get("class") == "beat"]
    assert len(beats) == len(stretch.beats_s)


def test_a_picture_of_nothing_is_paper() -> None:
    empty = Stretch(0.0, 5.0, (), (), (), np.zeros(0))
    assert ElementTree.fromstring(picture(empty, Paper(), "t", "n")).findall(f"{SVG}g")
    short = replace(empty, to_s=0.0)
    assert len(ElementTree.fromstring(picture(short, Paper(), "t", "n")).findall(f"{SVG}g")) == 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"q", ["q"]),
        (b"\x1b[C\x1b[D\x1bOA", ["right", "left", "up"]),
        (b"+- \x1b[1~", ["+", "-", "space", "home"]),
        (b"\x1b[15~a\x1b", ["a"]),
        ("é\x00\r".encode(), []),
    ],
)
def test_keys(data: bytes, expected: list[str]) -> None:
    assert list(names(data)) == expected


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_whatever_a_terminal_sends_is_read_to_its_end(data: bytes) -> None:
    assert all(name.isprintable() and name for name in names(data))
