"""A fresh process that fails: what is said of it."""

from __future__ import annotations

import pytest

from edge_ecg.bench import startup
from edge_ecg.errors import GateError


@pytest.mark.parametrize(
    ("child", "timeout_s", "why"),
    [
        # Still at work, with a word on stderr, when its time is up.
        ("import sys, time; print('loading', file=sys.stderr, flush=True); time.sleep(60)", 1.0, "after 1 s"),
        ("import time; time.sleep(60)", 0.5, "after 0.5 s"),
        ("raise SystemExit('no such file')", 60.0, "no such file"),
        ("print('no JSON')", 60.0, "Expecting value"),
    ],
)
def test_a_process_that_fails(
    monkeypatch: pytest.MonkeyPatch, child: str, timeout_s: float, why: str
) -> None:
    monkeypatch.setattr(startup, "_CHILD", child)
    with pytest.raises(GateError, match=why):
        startup.measure_startup(None, "litert-int8", timeout_s=timeout_s)
