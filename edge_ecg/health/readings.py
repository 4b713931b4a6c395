"""What the machine's sensors say, as numbers; None where it has none or does not tell."""

from __future__ import annotations

from dataclasses import dataclass

from .host import Host

_CPUFREQ = "sys/devices/system/cpu/cpu[0-9]*/cpufreq"

# Bits of the firmware's get_throttled; the same sixteen higher: since it was switched on.
UNDER_VOLTAGE, CAPPED, THROTTLED, SOFT_LIMIT = (1 << bit for bit in range(4))
SINCE_BOOT = 16


@dataclass(frozen=True, slots=True)
class Clock:
    """The processor's clock in MHz, of its fastest core.

    Attributes
    ----------
    min_mhz, max_mhz:
        What the hardware can.
    allowed_mhz:
        The highest that it is allowed to use now.
    current_mhz:
        Now: what the firmware measured on a Raspberry Pi that has vcgencmd, elsewhere what was asked for.

    """

    min_mhz: float | None
    max_mhz: float | None
    allowed_mhz: float | None
    current_mhz: float | None

    @property
    def capped(self) -> bool:
        """Whether it may not use all that the hardware can."""
        return self.allowed_mhz is not None and self.max_mhz is not None and self.allowed_mhz < self.max_mhz


def throttled_bits(host: Host) -> int | None:
    """The word of the Raspberry Pi firmware's get_throttled."""
    text = host.read("sys/devices/platform/soc/soc:firmware/get_throttled")
    if text is None and host.is_pi:
        text = (host.command(["vcgencmd", "get_throttled"]) or "").strip().removeprefix("throttled=")
    try:
        return int(text or "", 16)
    except ValueError:
        return None


def hottest_c(host: Host) -> float | None:
    """Degrees Celsius of the hottest sensor."""
    readings = [host.read(path) for path in host.glob("sys/class/thermal/*/temp")]
    celsius = [int(text) / 1000 for text in readings if text and text.lstrip("-").isdecimal()]
    return max(celsius, default=None)


def governors(host: Host) -> tuple[str, ...]:
    """Who sets the clock of the cores, each named once."""
    found = {text for path in host.glob(f"{_CPUFREQ}/scaling_governor") if (text := host.read(path))}
    return tuple(sorted(found))


def cpu_clock(host: Host) -> Clock:
    """Read the processor's clock."""
    return Clock(
        min_mhz=_highest(host, "cpuinfo_min_freq"),
        max_mhz=_highest(host, "cpuinfo_max_freq"),
        allowed_mhz=_highest(host, "scaling_max_freq"),
        current_mhz=_measured(host) or _highest(host, "scaling_cur_freq"),
    )


def _highest(host: Host, name: str) -> float | None:
    readings = [host.read(path) for path in host.glob(f"{_CPUFREQ}/{name}")]
    return max((int(text) / 1000 for text in readings if text and text.isdecimal()), default=None)


def _measured(host: Host) -> float | None:
    if not host.is_pi:
        return None
    # "frequency(48)=1800404352", in Hz.
    hertz = (host.command(["vcgencmd", "measure_clock", "arm"]) or "").strip().rpartition("=")[2]
    return int(hertz) / 1e6 if hertz.isdecimal() and int(hertz) else None
