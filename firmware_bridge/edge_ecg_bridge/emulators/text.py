"""A virtual Arduino with an AD8232: prints one line a sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .base import Reservoir, Signal, Unit, joined

FORMATS = ("adc", "ms,adc", "us,adc", "mv")


class TextEmulator:
    """See :class:`edge_ecg_bridge.emulators.Emulator`.

    Parameters
    ----------
    signal:
        The ECG; asked for at ``fs_hz`` when the host first listens.
    line:
        One of ``adc``, ``ms,adc``, ``us,adc``, ``mv``.
    ending, banner:
        End of a line; what the board prints after its reset.
    adc_bits, vref, gain:
        Converter and amplifier.
    counter:
        The board's time column at the first sample, in its own unit.
    rate_error:
        Relative error of its crystal: it prints at (1 + error) times the rate and calls that the rate.
    electrode_off:
        Whether LO+ or LO- is high at a time (seconds from the first sample): the line is then ``!``.
    loss, unplug_after_s, loop:
        As for the virtual Shimmer.

    """

    def __init__(
        self,
        signal: Signal,
        *,
        fs_hz: float = 250.0,
        line: str = "adc",
        ending: str = "\r\n",
        banner: str = "",
        adc_bits: int = 10,
        vref: float = 5.0,
        gain: float = 1100.0,
        counter: int = 0,
        rate_error: float = 0.0,
        electrode_off: Callable[[float], bool] | None = None,
        loss: float = 0.0,
        unplug_after_s: float | None = None,
        loop: bool = False,
        seed: int = 0,
    ) -> None:
        if line not in FORMATS:
            raise ValueError(f"line must be one of {', '.join(FORMATS)}")
        self.fs_hz = fs_hz
        self._real_hz = fs_hz * (1.0 + rate_error)
        self.recording_over = False
        self.unplugged = False
        self.lines_sent = 0
        self.lines_lost = 0
        self._signal, self._line, self._ending = signal, line, ending
        self._out = [Unit((banner + ending).encode())] if banner else []
        self._bits, self._vref, self._gain = adc_bits, vref, gain
        self._counter = counter
        self._electrode_off = electrode_off
        self._loss = loss
        self._unplug_after_s = unplug_after_s
        self._loop = loop
        self._rng = np.random.default_rng(seed)
        self._source = Reservoir(signal(self._real_hz))
        self._began_s: float | None = None
        self._made = 0

    @property
    def ended(self) -> bool:
        """Whether it has hung up."""
        return self.unplugged or (self.recording_over and not self._out)

    @property
    def next_due_s(self) -> float | None:
        """When the next line is due."""
        if self._began_s is None:
            return -np.inf
        return None if self.recording_over else self._began_s + self._made / self._real_hz

    def receive(self, data: bytes, now_s: float) -> None:
        """Ignore it: the sketch does not read."""

    def link_lost(self) -> None:
        """Print on: a board does not know who listens."""

    def bytes_to_send(self, now_s: float) -> bytes:
        """Return the lines due by now."""
        return joined(self.units(now_s))

    def units(self, now_s: float) -> list[Unit]:
        """Return the same, line by line."""
        if self._began_s is None:
            self._began_s = now_s
        if self._unplug_after_s is not None and now_s - self._began_s >= self._unplug_after_s:
            self.unplugged = True
            return []
        due = int((now_s - self._began_s) * self._real_hz + 1e-6) + 1 - self._made
        out, self._out = self._out, []
        if due <= 0 or self.recording_over:
            return out
        ecg_mv = self._source.take(due)
        while len(ecg_mv) < due and self._loop:
            self._source = Reservoir(self._signal(self._real_hz))
            more = self._source.take(due - len(ecg_mv))
            if not len(more):
                break
            ecg_mv = np.concatenate([ecg_mv, more])
        self.recording_over = len(ecg_mv) < due
        kept = np.isfinite(ecg_mv) & (self._rng.random(len(ecg_mv)) >= self._loss)
        lines = [self._print(self._made + i, float(ecg_mv[i])) for i in np.flatnonzero(kept).tolist()]
        self._made += len(ecg_mv)
        self.lines_sent += len(lines)
        self.lines_lost += len(ecg_mv) - len(lines)
        return out + [Unit(line.encode(), 1) for line in lines]

    def _print(self, number: int, ecg_mv: float) -> str:
        if self._electrode_off is not None and self._electrode_off(number / self._real_hz):
            value = "!"
        elif self._line == "mv":
            value = f"{ecg_mv:.4f}"
        else:
            count = round((ecg_mv * self._gain / 1000.0 / self._vref + 0.5) * 2**self._bits)
            value = str(min(max(count, 0), 2**self._bits - 1))
        if "," not in self._line:
            return value + self._ending
        per_s = 1_000 if self._line.startswith("ms") else 1_000_000
        stamp = (self._counter + int(number * per_s / self.fs_hz)) % (1 << 32)
        return f"{stamp},{value}{self._ending}"
