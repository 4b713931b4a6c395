"""A device that is lost and stays away: ``--duration`` ends the session all the same."""

from __future__ import annotations

import pytest

from edge_ecg.records import EventRecord
from edge_ecg.session import Session
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.session_source import SessionSource
from edge_ecg_bridge.emulators import Shimmer3Emulator
from edge_ecg_bridge.shimmer3 import ShimmerSession
from edge_ecg_bridge.synthetic import SyntheticEcg

from .lost_links import Link

FOR_EVER_S = 1e9


def opened(link: Link) -> SessionSource:
    return SessionSource(
        parse_address("/dev/ttyUSB0"),
        link.transport(),
        link.make_session(),
        clock=link.clock,
        connect=link.connect,
        wait=link.pass_time,
    )


@pytest.mark.parametrize("duration_s", [11.0, 60.0, 3600.0])
@pytest.mark.parametrize("how", ["away", "silent"])
def test_the_session_ends_when_its_time_is_over(duration_s: float, how: str) -> None:
    gone = [(10.0, FOR_EVER_S)]
    link = Link(Shimmer3Emulator(SyntheticEcg(seed=7)), ShimmerSession, **{how: gone})  # type: ignore[arg-type]
    with opened(link) as source:
        began_s = link.now_s
        session = Session(source, None, duration_s=duration_s)
        events = [record.event for record in session if isinstance(record, EventRecord)]
        assert source.over_time
        took_s = link.now_s - began_s
    end = session.end()
    assert end.reason == "duration"
    assert events[:2] == ["connected", "lost"]
    assert "reconnected" not in events
    assert session.device_s < 11.0
    # Silence is noticed after 3 s; a try to connect that is under way is not broken off.
    assert duration_s - 0.5 <= took_s <= max(duration_s, 13.0) + 6.0
    assert link.open_transports == 0


def test_without_a_duration_it_is_waited_for() -> None:
    link = Link(Shimmer3Emulator(SyntheticEcg(seed=7)), ShimmerSession, away=[(10.0, 4000.0)])
    with opened(link) as source:
        for record in Session(source, None):
            if isinstance(record, EventRecord) and record.event == "reconnected":
                break
        assert not source.over_time
    assert link.now_s > 4000.0
