"""The machine itself: clock, disk, power and heat."""

from __future__ import annotations

from datetime import UTC, datetime

from .check import Check, fail, ok, unknown, warn
from .host import Host
from .readings import (
    CAPPED,
    SINCE_BOOT,
    THROTTLED,
    UNDER_VOLTAGE,
    governors,
    hottest_c,
    throttled_bits,
)

# Before this version was written: a board without a battery wakes up in 1970 or at its last shutdown.
_EARLIEST_YEAR = 2025
_RECORDING_BYTES_PER_HOUR = 32e6  # 512 Hz as text
_HOT_C, _THROTTLED_C = 70.0, 80.0
_POWER_BITS = {
    UNDER_VOLTAGE: "the supply voltage is too low",
    CAPPED: "the clock is capped",
    THROTTLED: "it is throttled",
}
_SUPPLY = "Use the supply made for this Raspberry Pi and a short, thick USB cable."


def board(host: Host) -> Check | None:
    """Which board this is, where it tells."""
    model = host.read("proc/device-tree/model")
    return ok("board", f"{model}.") if model else None


def clock(host: Host) -> Check:
    """Whether decisions will carry the right time."""
    now = datetime.fromtimestamp(host.clock(), UTC)
    if now.year < _EARLIEST_YEAR:
        return fail(
            "clock",
            f"The clock says {now:%Y-%m-%d}: decisions and recordings would carry a wrong time.",
            "sudo timedatectl set-ntp true; without a network: sudo date -s 'YYYY-MM-DD HH:MM:SS'",
        )
    synchronised = clock_synchronised(host)
    if synchronised:
        return ok("clock", f"{now:%Y-%m-%d %H:%M} UTC, set by the network.")
    if synchronised is False:
        return warn(
            "clock",
            f"{now:%Y-%m-%d %H:%M} UTC, but not set by the network: it may jump during a recording.",
            "sudo timedatectl set-ntp true",
        )
    return unknown("clock", f"{now:%Y-%m-%d %H:%M} UTC; whether the network sets it nobody tells.")


def clock_synchronised(host: Host) -> bool | None:
    """Whether the network sets the clock; None when nobody tells."""
    if host.exists("run/systemd/timesync/synchronized"):
        return True
    answer = host.command(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    return {"yes": True, "no": False}.get((answer or "").strip())


def disk(host: Host) -> Check:
    """Whether a recording has room."""
    free = host.free(host.folder)
    hours = free / _RECORDING_BYTES_PER_HOUR
    sentence = f"{free / 1e9:.1f} GB free in {host.folder}: {hours:.0f} hours of recording."
    if hours < 1:
        return fail("disk", sentence, "Make room: sudo apt clean; du -xh ~ | sort -h | tail")
    if hours < 24:
        return warn("disk", sentence, "Make room, or record to a USB disk.")
    return ok("disk", sentence)


def power(host: Host) -> Check | None:
    """Whether a Raspberry Pi gets enough power and is cool enough to run at full speed."""
    bits = throttled_bits(host)
    if bits is None:
        alarm = _voltage_alarm(host)
        if alarm is None:
            return unknown("power", "This Raspberry Pi does not tell.") if host.is_pi else None
        return warn("power", "The supply voltage is too low.", _SUPPLY) if alarm else ok("power", "Enough.")
    now = [text for bit, text in _POWER_BITS.items() if bits & bit]
    before = [text for bit, text in _POWER_BITS.items() if bits >> SINCE_BOOT & bit]
    if now:
        return warn(
            "power", f"Now {' and '.join(now)}: latencies measured here are not valid.", _remedy(bits)
        )
    if before:
        was = " and ".join(before).replace(" is ", " was ")
        return warn("power", f"Since it was switched on, {was}.", _remedy(bits >> SINCE_BOOT))
    return ok("power", "Never too little, never throttled since it was switched on.")


def _remedy(bits: int) -> str:
    return _SUPPLY if bits & UNDER_VOLTAGE else "Cool it: a heat sink or a fan, and air around it."


def _voltage_alarm(host: Host) -> bool | None:
    for path in host.glob("sys/class/hwmon/*/name"):
        if host.read(path) == "rpi_volt":
            return host.read(path.parent / "in0_lcrit_alarm") == "1"
    return None


def temperature(host: Host) -> Check | None:
    """How hot the hottest sensor is."""
    celsius = hottest_c(host)
    if celsius is None:
        return None
    sentence = f"{celsius:.0f} °C."
    if celsius >= _THROTTLED_C:
        return warn("temperature", f"{sentence[:-1]}: a Raspberry Pi slows down.", "Give it a fan and air.")
    if celsius >= _HOT_C:
        return warn(
            "temperature", f"{sentence[:-1]}, near the limit of 80 °C.", "Give it a heat sink and air."
        )
    return ok("temperature", sentence)


def governor(host: Host) -> Check | None:
    """Whether the processor may clock up when a window is due."""
    found = governors(host)
    if not found:
        return None
    if "powersave" in found and not host.exists("sys/devices/system/cpu/intel_pstate"):
        return warn(
            "CPU governor",
            "powersave keeps the processor at its lowest clock.",
            "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        )
    return ok("CPU governor", f"{', '.join(found)}.")
