"""What the host sends: one function a command, each returning its bytes."""

from __future__ import annotations

from .wire import ECG_SENSORS, TICK_HZ, Command

EXG_REGISTERS = 10


def get_hardware() -> bytes:
    """Ask which Shimmer it is."""
    return bytes((Command.GET_HARDWARE,))


def get_firmware() -> bytes:
    """Ask for kind and version of the firmware."""
    return bytes((Command.GET_FIRMWARE,))


def get_board() -> bytes:
    """Ask for number and revision of the daughter board."""
    return bytes((Command.GET_BOARD, 2, 0))


def inquiry() -> bytes:
    """Ask for rate and channel list."""
    return bytes((Command.INQUIRY,))


def get_rate() -> bytes:
    """Ask for the sampling rate in ticks."""
    return bytes((Command.GET_RATE,))


def set_rate(ticks: int) -> bytes:
    """Set the sampling interval, in 1/32768 s."""
    return bytes((Command.SET_RATE, *ticks.to_bytes(2, "little")))


def ticks_for(fs_hz: float) -> int:
    """Return the sampling interval in ticks that comes nearest to ``fs_hz``."""
    return round(TICK_HZ / fs_hz)


def set_sensors(*others: bytes) -> bytes:
    """Switch the ECG on, and other sensors given by their 3-byte bit fields."""
    fields = [int.from_bytes(field, "little") for field in (ECG_SENSORS, *others)]
    wanted = 0
    for field in fields:
        wanted |= field
    return bytes((Command.SET_SENSORS, *wanted.to_bytes(3, "little")))


def set_exg(chip: int, registers: bytes) -> bytes:
    """Write all ten registers of one ADS1292R (chip 0 or 1)."""
    return bytes((Command.SET_EXG, chip, 0, len(registers), *registers))


def get_exg(chip: int) -> bytes:
    """Read all ten registers of one ADS1292R (chip 0 or 1)."""
    return bytes((Command.GET_EXG, chip, 0, EXG_REGISTERS))


def start_streaming() -> bytes:
    """Start the stream of data packets."""
    return bytes((Command.START,))


def stop_streaming() -> bytes:
    """Stop the stream of data packets."""
    return bytes((Command.STOP,))


def get_status() -> bytes:
    """Ask for the status byte."""
    return bytes((Command.GET_STATUS,))


def set_crc(crc_bytes: int) -> bytes:
    """Append 0, 1 or 2 bytes of CRC to everything that the device sends (LogAndStream 0.13.7 and later)."""
    return bytes((Command.SET_CRC, crc_bytes))


def set_status_ack(prefixed: bool) -> bytes:
    """Put an ACK before unsolicited status messages, or not (LogAndStream 0.15.4 and later)."""
    return bytes((Command.SET_STATUS_ACK, prefixed))


def get_calibration() -> bytes:
    """Read the calibrations of all motion sensors, 21 bytes each."""
    return bytes((Command.GET_CALIBRATION,))


def get_battery() -> bytes:
    """Read battery voltage and charger state; the answer is an in-stream response."""
    return bytes((Command.GET_BATTERY,))


def get_name() -> bytes:
    """Read the name that its user gave it."""
    return bytes((Command.GET_NAME,))


def get_clock() -> bytes:
    """Read the real-time clock."""
    return bytes((Command.GET_CLOCK,))


def set_clock(unix_s: float) -> bytes:
    """Set the real-time clock: 32768 Hz since the Unix epoch, 64 bit."""
    return bytes((Command.SET_CLOCK, *round(unix_s * TICK_HZ).to_bytes(8, "little")))


def get_serial() -> bytes:
    """Read the processor's unique serial number."""
    return bytes((Command.GET_SERIAL,))
