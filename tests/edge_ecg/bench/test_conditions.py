"""What the machine tells of itself, and when its times do not count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_ecg.bench.conditions import read_conditions, remarks, why_invalid
from edge_ecg.bench.machine import memory_mb, this_machine
from edge_ecg.health import Host
from edge_ecg.health.readings import Clock

from .conftest import CPU, MakePi


def test_a_pi_in_full(pi4: MakePi) -> None:
    host = pi4()
    found = read_conditions(host)
    assert (found.load_1min, found.temperature_c, found.throttled) == (0.31, 51.121, 0)
    assert found.governor == "ondemand"
    assert found.clock == Clock(600.0, 1800.0, 1800.0, 1500.0)
    machine = this_machine(host)
    assert (machine.model, machine.revision) == ("Raspberry Pi 4 Model B Rev 1.5", "d03115")
    assert machine.memory_mb == pytest.approx(7999904 * 1024 / 1e6)
    assert machine.os == "Debian GNU/Linux 12 (bookworm)"
    assert (machine.emulated, machine.hypervisor) == (None, None)


def test_the_firmware_measures_the_clock(pi4: MakePi) -> None:
    host = pi4(commands={"vcgencmd measure_clock arm": "frequency(48)=1800404352\n"})
    assert read_conditions(host).clock.current_mhz == pytest.approx(1800.404352)
    for answer in ("frequency(48)=0\n", "error=1 error_msg=\n", ""):
        host = pi4(commands={"vcgencmd measure_clock arm": answer})
        assert read_conditions(host).clock.current_mhz == 1500.0


def test_a_machine_that_tells_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    host = Host(root=tmp_path_factory.mktemp("empty"), architecture="x86_64")
    found = read_conditions(host)
    assert found.clock == Clock(None, None, None, None)
    assert (found.load_1min, found.temperature_c, found.throttled, found.governor) == (None,) * 4
    assert why_invalid(found, found) == []
    assert remarks(found, 4) == []
    assert this_machine(host).model == "unknown"


@pytest.mark.parametrize(
    ("before", "after", "invalid"),
    [
        (0x0, 0x0, False),
        (None, None, False),
        (0x50000, 0x50000, False),  # before this bench; it is remarked on
        (0x50005, 0x50005, True),
        (0x0, 0x80008, True),  # the soft limit of temperature, now
        (0x0, 0x40000, True),  # in between
        (0x10000, 0x50000, True),  # under-voltage before, throttled in between
        (0x4, 0x40000, True),
    ],
)
def test_throttled_at_either_end_or_in_between(
    pi4: MakePi, before: int | None, after: int | None, *, invalid: bool
) -> None:
    now = read_conditions(pi4())
    found = why_invalid(replace(now, throttled=before), replace(now, throttled=after))
    assert found == (["throttled"] if invalid else [])


def test_a_capped_clock_is_invalid(pi4: MakePi) -> None:
    free, capped = read_conditions(pi4()), read_conditions(pi4({f"{CPU}/scaling_max_freq": "1200000\n"}))
    assert why_invalid(free, capped) == why_invalid(capped, free) == ["capped"]


def test_what_a_reader_should_know(pi4: MakePi) -> None:
    now = read_conditions(pi4())
    assert remarks(now, 4) == []
    (busy,) = remarks(replace(now, load_1min=2.5), 4)
    assert "busy (load 2.5 on 4 cores)" in busy
    (earlier,) = remarks(replace(now, throttled=0x50000), 4)
    assert "since it was switched on" in earlier


def test_memory_of_this_process() -> None:
    now, highest = memory_mb()
    assert now is not None
    assert highest is not None
    assert 10 < now <= highest
