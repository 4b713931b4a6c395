"""Recognising each kind by its bytes: what the makers' documents show is, what is noise never is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_ecg.sources import probes, stream_patterns
from edge_ecg.sources.detect import LIMIT_S, find_kind
from edge_ecg.sources.probes import PROBES, Ask, Probe
from edge_ecg_bridge.emulators import Shimmer3Emulator, TextEmulator
from edge_ecg_bridge.shimmer3 import commands
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=5)
RNG = np.random.default_rng(9)


class Line:
    """A serial line with a device on it that is described by two functions, on a time of its own."""

    def __init__(
        self,
        speak: Callable[[float, float], bytes] = lambda begin_s, end_s: b"",
        answer: Callable[[bytes], bytes] = lambda question: b"",
        *,
        baud: int = 115200,
        delay_s: float = 0.1,
    ) -> None:
        self.speak, self.answer, self.device_baud, self.delay_s = speak, answer, baud, delay_s
        self.baud = 115200
        self.now_s = 0.0
        self.written: list[tuple[float, bytes]] = []
        self.waiting: list[tuple[float, bytes]] = []

    def now(self) -> float:
        return self.now_s

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        begin_s, self.now_s = self.now_s, self.now_s + timeout_s
        data = self.speak(begin_s, self.now_s)
        data += b"".join(answer for due_s, answer in self.waiting if due_s <= self.now_s)
        self.waiting = [one for one in self.waiting if one[0] > self.now_s]
        if self.baud != self.device_baud:
            data = bytes((byte * 7 + 3) & 0xFF | 0x80 for byte in data)
        return data

    def write(self, data: bytes) -> None:
        self.written.append((self.now_s, data))
        if self.baud == self.device_baud and (answer := self.answer(data)):
            self.waiting.append((self.now_s + self.delay_s, answer))

    def close(self) -> None:
        pass


def steadily(
    packet: Callable[[int], bytes], per_s: float, since_s: float = 0.0
) -> Callable[[float, float], bytes]:
    """A device that sends packets at a rate, from ``since_s`` on."""

    def speak(begin_s: float, end_s: float) -> bytes:
        first, last = (max(0, int((at_s - since_s) * per_s)) for at_s in (begin_s, end_s))
        return b"".join(packet(number) for number in range(first, last))

    return speak


def cyton(number: int) -> bytes:
    """33 bytes: A0, number, 8 x 24 bits, 6 bytes, C0 (OpenBCI, Cyton Data Format); both in the data too."""
    data = RNG.integers(0, 256, 30, dtype=np.uint8)
    data[data < 20] = 0xA0
    data[data > 240] = 0xC0
    return b"\xa0" + bytes((number % 256,)) + data.tobytes() + b"\xc0"


def openview(number: int) -> bytes:
    """0A FA, 8, 0, 02, four i16, 00 0B (ProtoCentral ADS1292R)."""
    return b"\x0a\xfa\x08\x00\x02" + RNG.integers(0, 256, 8, dtype=np.uint8).tobytes() + b"\x00\x0b"


def bitalino(channels: int) -> Callable[[int], bytes]:
    size = (12 + 10 * channels + 7) // 8 if channels <= 4 else 8

    def frame(number: int) -> bytes:
        body = RNG.integers(0, 256, size - 1, dtype=np.uint8).tobytes()
        bits = [int(bit) for byte in (*body, (number % 16) << 4) for bit in f"{byte:08b}"]
        # Long division by 1 0011, as on paper: the remainder of the last four bits is the CRC.
        for at in range(len(bits) - 4):
            if bits[at]:
                for offset, coefficient in enumerate((1, 0, 0, 1, 1)):
                    bits[at + offset] ^= coefficient
        # The message ends in its own four zero bits, so that the remainder stands there.
        return body + bytes(((number % 16) << 4 | int("".join(map(str, bits[-4:])), 2),))

    return frame


def found_on(line: Line) -> str:
    kind = find_kind(line, line.set_baud)
    assert line.now_s <= LIMIT_S
    return kind


@pytest.mark.parametrize("channels", range(1, 7))
@pytest.mark.parametrize("per_s", [100, 1000])
def test_a_bitalino_that_streams(channels: int, per_s: int) -> None:
    line = Line(steadily(bitalino(channels), per_s))
    assert found_on(line) == "bitalino"
    assert line.written == []  # nothing was said to it


def test_a_bitalino_that_is_asked() -> None:
    line = Line(answer=lambda question: b"BITalino_v5.2\n" if question == b"\x07" else b"")
    assert found_on(line) == "bitalino"
    assert [data for _, data in line.written][-2:] == [b"\x00", b"\x07"]  # stopped first
    assert not any(byte in b"sbvV" for _, data in line.written for byte in data)


def test_a_cyton_that_streams() -> None:
    line = Line(steadily(cyton, 250))
    assert found_on(line) == "cyton"
    assert line.written == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b"V", b"v3.1.2$$$"),
        (b"v", b"OpenBCI V3 8-16 channel\nOn Board ADS1299 Device ID: 0x3E\nFirmware: v3.1.2\n$$$"),
    ],
)
def test_a_cyton_that_is_asked(question: bytes, answer: bytes) -> None:
    assert found_on(Line(answer=lambda data: answer if data == question else b"", delay_s=0.6)) == "cyton"


def test_a_cyton_dongle_without_its_board() -> None:
    line = Line(answer=lambda data: b"Failure: Communications timeout - Device failed to poll Host$$$")
    with pytest.raises(BridgeError, match=r"no board answers.*Switch the board to PC"):
        found_on(line)


@pytest.mark.parametrize("since_s", [0.0, 1.0, 1.9])
@pytest.mark.parametrize("payload", [8, 12])
def test_an_openview_board_at_its_own_speed(since_s: float, payload: int) -> None:
    def packet(number: int) -> bytes:
        return b"\x0a\xfa" + bytes((payload, 0, 2)) + bytes(payload) + b"\x00\x0b"

    line = Line(steadily(packet if payload != 8 else openview, 125, since_s), baud=57600)
    assert found_on(line) == "openview"
    assert line.baud == 57600


def test_openview_with_a_text_between_the_packets() -> None:
    def packet(number: int) -> bytes:
        return openview(number) + (b"HR: 72\r\n" if number % 10 == 0 else b"")

    assert found_on(Line(steadily(packet, 125), baud=57600)) == "openview"


def test_an_ad8232_sketch_at_9600_that_boots_for_1_6_seconds() -> None:
    line = Line(steadily(lambda number: b"%d\r\n" % (300 + number % 400), 160, 1.6), baud=9600)
    assert found_on(line) == "text"


def test_a_banner_of_text_is_no_wrong_speed() -> None:
    """It boots for 1.8 s, tells much about itself for half a second, and then measures."""
    banner = steadily(lambda number: b"ESP-ROM: boot; calibrating\r\n", 200, 1.8)
    lines = steadily(lambda number: b"%d,%d\r\n" % (4000 * number, 1800 + number), 250, 2.3)
    line = Line(lambda begin_s, end_s: banner(begin_s, end_s) if end_s < 2.3 else lines(begin_s, end_s))
    line.set_baud = pytest.fail  # type: ignore[method-assign]
    assert found_on(line) == "text"


@pytest.mark.parametrize("delay_s", [0.02, 0.2, 0.5])
def test_a_shimmer_whose_answers_come_late(delay_s: float) -> None:
    line = Line(answer=lambda data: b"\xff\x25\x03" if data == b"\x3f" else b"", delay_s=delay_s)
    assert found_on(line) == "shimmer3"


def test_one_answer_of_three_bytes_is_not_enough() -> None:
    answers = iter([b"\xff\x25\x03"])
    line = Line(answer=lambda data: next(answers, b"") if data == b"\x3f" else b"")
    with pytest.raises(BridgeError, match="no device that edge-ecg knows"):
        found_on(line)


def test_a_shimmer_that_was_left_streaming_on_a_port_with_speeds() -> None:
    """Its bytes make no sense until it is stopped; the speed stays."""
    device, speeds = Shimmer3Emulator(ECG, firmware=(0, 15, 4)), []
    for command in (commands.set_rate(64), commands.set_sensors(), commands.start_streaming()):
        device.receive(command, 0.0)
    from edge_ecg.sources.simulated import VirtualTransport

    assert find_kind(VirtualTransport(device, speed=0), speeds.append) == "shimmer3"
    assert speeds == []


def test_no_question_is_sent_at_another_speed() -> None:
    """At 57600 a question would arrive as something else; and a device that streams is asked no more."""
    line = Line(lambda begin_s, end_s: bytes(range(130, 250)))
    moments: list[tuple[int, bytes]] = []
    write = line.write
    line.write = lambda data: (moments.append((line.baud, data)), write(data))[1]  # type: ignore[method-assign]
    with pytest.raises(BridgeError, match="at 115200, 57600, 9600, 230400 baud"):
        found_on(line)
    assert moments
    assert {baud for baud, _ in moments} == {115200}


def test_the_order_of_the_questions() -> None:
    """A BITalino would be started by a Cyton's letters, a Shimmer changed by them: each is asked before."""
    first = {probe.kind: (probe.prepare + probe.asks)[0].at_s for probe in reversed(PROBES) if probe.asks}
    assert first["shimmer3"] < first["bitalino"] < first["cyton"] < first["dock"]
    last_shimmer = max(ask.at_s for probe in PROBES if probe.kind == "shimmer3" for ask in probe.asks)
    assert last_shimmer < first["bitalino"]
    assert max(ask.at_s for probe in PROBES for ask in probe.asks) < LIMIT_S - 0.3


def test_a_kind_is_one_row() -> None:
    """Another device needs no line outside the table."""
    mine = Probe("mine", answers=lambda heard: b"I am" in heard, asks=(Ask(0.1, b"who?"),))
    line = Line(answer=lambda data: b"I am" if data == b"who?" else b"")
    assert find_kind(line, None, (*PROBES, mine)) == "mine"


# -- noise ---------------------------------------------------------------------------------------------


def _nobody(data: bytes) -> list[str]:
    return [
        probe.kind
        for probe in PROBES
        for recognise in (probe.streams, probe.answers)
        if recognise is not None and recognise(data)
    ]


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 8, 64, 256]), st.integers(0, 4096))
def test_noise_is_never_a_device(seed: int, values: int, n: int) -> None:
    """Uniform over few or many byte values, the protocols' own bytes among them."""
    rng = np.random.default_rng(seed)
    alphabet = rng.permutation(256)[:values].astype(np.uint8)
    # Digits and line ends alone are lines of numbers, however they came about.
    assume(values > 8 or not {10, 13} & set(alphabet.tolist()))
    assert _nobody(rng.choice(alphabet, n).tobytes()) == []


PIECES = [b"\xa0", b"\xc0", b"\x0a\xfa\x08\x00\x02", b"\x00\x0b", b"\x00", b"$", b"$$$", b"v3", b"x", b"\x80"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_pieces_of_protocols_are_no_protocol(pieces: list[bytes]) -> None:
    found = _nobody(b"".join(pieces))
    # Three such openings with their ends at the right places would be three packets.
    assert found == [] or b"".join(pieces).count(b"\x0a\xfa\x08\x00\x02") >= 3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([10.0, 500.0, 5000.0]))
def test_a_noisy_line_is_told_as_unknown_in_time(seed: int, per_s: float) -> None:
    rng = np.random.default_rng(seed)
    noise = steadily(lambda number: rng.integers(0, 256, 1, dtype=np.uint8).tobytes(), per_s)
    line = Line(noise)
    line.device_baud = line.baud
    with pytest.raises(BridgeError, match="no device that edge-ecg knows"):
        find_kind(line, lambda baud: None)
    assert line.now_s <= LIMIT_S


def test_a_line_that_echoes_what_it_is_sent_is_nothing() -> None:
    """A plug that joins both wires, a modem, a console: our own questions are no answers."""
    with pytest.raises(BridgeError, match="no device that edge-ecg knows"):
        found_on(Line(answer=bytes))


@pytest.mark.parametrize("baud", [9600, 115200])
def test_a_gps_receiver_is_nothing(baud: int) -> None:
    sentence = b"$GPGGA,092750.000,5321.6802,N,00630.3372,W,1,8,1.03,61.7,M,55.2,M,,*76\r\n"
    with pytest.raises(BridgeError, match="no device that edge-ecg knows"):
        found_on(Line(steadily(lambda number: sentence, 12), baud=baud))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=4200))
def test_any_bytes_break_no_recogniser(data: bytes) -> None:
    _nobody(data)


@pytest.mark.parametrize(
    ("packet", "recognise"),
    [
        (cyton, stream_patterns.is_cyton),
        (openview, stream_patterns.is_openview),
        (bitalino(1), stream_patterns.is_bitalino),
        (bitalino(6), stream_patterns.is_bitalino),
    ],
    ids=["cyton", "openview", "bitalino-1", "bitalino-6"],
)
def test_packets_out_of_step_are_nothing(
    packet: Callable[[int], bytes], recognise: probes.Recogniser
) -> None:
    stream = b"".join(packet(number) for number in range(12))
    assert recognise(b"\x55" + stream)
    size = len(packet(0))
    # From each packet one frame byte is taken away: nothing is left in step.
    cut = b"".join(stream[at : at + size - 1] for at in range(0, len(stream), size))
    assert not recognise(cut)


def test_a_text_board_is_not_taken_for_anything_else() -> None:
    board = TextEmulator(ECG, line="us,adc", fs_hz=250.0)
    board.bytes_to_send(0.0)
    assert set(_nobody(board.bytes_to_send(2.0))) == {"text"}


def test_crc4_by_a_published_frame_of_zeros_and_by_long_division() -> None:
    assert stream_patterns.crc4(bytes(8)) == 0
    for number in range(16):
        frame = bitalino(6)(number)
        assert stream_patterns.crc4(frame) == frame[-1] & 15
