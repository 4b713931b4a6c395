"""The table of checks, in the order in which a person would mend things."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import bluetooth, machine, ports, software
from .check import Check
from .host import Host

CHECKS: tuple[Callable[[Host], Check | None], ...] = (
    machine.board,
    software.python,
    software.userland,
    software.packages,
    software.engine,
    software.lsl,
    software.model,
    ports.permission,
    ports.ports,
    ports.in_use,
    ports.modem_manager,
    ports.brltty,
    ports.latency_timer,
    bluetooth.bluetooth,
    bluetooth.permission,
    bluetooth.mode,
    bluetooth.sockets,
    bluetooth.coexistence,
    machine.clock,
    machine.disk,
    machine.power,
    machine.temperature,
    machine.governor,
)


def examine(host: Host) -> Iterator[Check]:
    """Run every check; one that does not apply to this machine (no FTDI adapter, no Pi) gives nothing."""
    for look in CHECKS:
        found = look(host)
        if found is not None:
            yield found
