"""What a person sees while a baseline is taken, and that a session says whether one is in use."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from edge_ecg.enrolment import Enrolment
from edge_ecg.model import Model
from edge_ecg.records import StartRecord
from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.signal.quality import Reason
from edge_ecg.sinks.enrolling import EnrolmentLines
from edge_ecg.sinks.enrolling_panel import EnrolmentPanel
from edge_ecg.sinks.lines import PlainLines
from edge_ecg.sinks.terminal import TerminalPanel

FS_HZ = 256.0
Cut = Callable[..., list[SampleBlock]]
Heart = Callable[..., NDArray[np.float64]]
START = StartRecord("/dev/rfcomm0", "shimmer3", 512.0, "stress@0123456789ab", "litert-int8", 1.0)


def shown(model: Model, blocks: list[SampleBlock], *, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(width=80, height=24, file=file, color_system=None)
    enrolment = Enrolment(model, FS_HZ, duration_s=40)
    panel = EnrolmentPanel(enrolment, 40, console)
    for block in blocks:
        for window in enrolment.push(block):
            panel.seen(window)
    panel.event(SourceEvent("gap", 12.0))
    panel.close()
    with console.capture() as capture:
        console.print(panel.render())
    return capture.get()


def test_the_panel_counts_down_and_says_how_good_it_is(model: Model, heart: Heart, cut: Cut) -> None:
    text = shown(model, cut(heart(25, FS_HZ), FS_HZ))
    assert "15 s to go" in text
    assert "3, at least 3 are needed" in text
    assert "Sit still" in text
    assert " bpm" in text
    assert "gap at 12 s" in text


def test_the_panel_says_what_is_wrong_and_what_helps(model: Model, heart: Heart, cut: Cut) -> None:
    off = np.ones(256, dtype=np.bool_)
    blocks = [replace(block, lead_off=off) for block in cut(heart(15, FS_HZ), FS_HZ, [256])]
    text = " ".join(shown(model, blocks).replace("│", " ").split())
    assert "signal now lead off" in text
    assert Reason.LEAD_OFF.advice in text


def test_the_panel_without_unicode_is_plain_ascii(model: Model, heart: Heart, cut: Cut) -> None:
    assert shown(model, cut(heart(20, FS_HZ), FS_HZ), encoding="ascii").isascii()


def test_lines_come_every_ten_seconds(model: Model, heart: Heart, cut: Cut) -> None:
    stream = io.StringIO()
    enrolment = Enrolment(model, FS_HZ, duration_s=40)
    view = EnrolmentLines(enrolment, 40, stream)
    for block in cut(heart(41, FS_HZ), FS_HZ):
        for window in enrolment.push(block):
            view.seen(window)
    first, *rest = stream.getvalue().splitlines()
    assert first.startswith("40 s at rest.")
    assert [float(line.split()[0]) for line in rest] == [10.0, 20.0, 30.0, 40.0]


@pytest.mark.parametrize(
    ("profile", "personal", "said"),
    [
        (None, (), ""),
        (None, ("stress",), "no personal baseline; two minutes at rest give one: edge-ecg enrol"),
        ("ann", ("stress",), "personal baseline: ann"),
        ("ann", (), "the profile is not used"),
    ],
)
def test_a_session_says_whether_a_baseline_is_in_use(
    profile: str | None, personal: tuple[str, ...], said: str
) -> None:
    start = replace(START, profile=profile, personal=personal)
    stream = io.StringIO()
    PlainLines(stream).write(start)
    console = Console(width=80, height=24, file=io.StringIO(), color_system=None)
    panel = TerminalPanel(lambda: 5.0, console)
    panel.write(start)
    panel.close()
    with console.capture() as capture:
        console.print(panel.render())
    for text in (stream.getvalue(), " ".join(capture.get().replace("│", " ").split())):
        if said:
            assert said in text
        else:
            assert "baseline" not in text
