"""The one question to a Bluetooth device's directory: bytes by hand, bumble's server, damage of any kind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.sources.sdp import RFCOMM, SERIAL_PORT, directory_channels, find_channels, search_request

# What an RN42 answers, written by hand from the specification: one record, attribute 0004,
# {{L2CAP}, {RFCOMM, 1}}.
PROTOCOLS = bytes.fromhex("350c 3503 190100 3505 190003 0801")
LISTS = bytes((0x35, 19, 0x35, 17, 0x09, 0x00, 0x04)) + PROTOCOLS


def answer(lists: bytes, transaction: int = 1, continuation: bytes = b"") -> bytes:
    parameters = len(lists).to_bytes(2, "big") + lists + bytes((len(continuation),)) + continuation
    return b"\x07" + transaction.to_bytes(2, "big") + len(parameters).to_bytes(2, "big") + parameters


def test_the_request_by_hand() -> None:
    assert search_request(SERIAL_PORT, transaction=1) == bytes.fromhex(
        "06 0001 000d  3503 191101  ffff  3503 090004  00"
    )


def test_the_answer_by_hand() -> None:
    assert find_channels(lambda request: answer(LISTS)) == [1]


def test_an_answer_in_pieces() -> None:
    asked: list[bytes] = []

    def exchange(request: bytes) -> bytes:
        asked.append(request)
        number = len(asked)
        return answer(LISTS[(number - 1) * 5 : number * 5], number, b"" if number == 5 else bytes((number,)))

    assert len(LISTS) <= 25
    assert find_channels(exchange) == [1]
    assert [request[-1] for request in asked] == [0, 1, 2, 3, 4]  # each goes on where the last one ended


def test_no_record_and_another_protocol() -> None:
    assert find_channels(lambda request: answer(b"\x35\x00")) == []
    assert find_channels(lambda request: answer(b"")) == []
    assert find_channels(lambda request: answer(LISTS.replace(b"\x19\x00\x03", b"\x19\x00\x0f"))) == []


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x01\x00\x01\x00\x02\x00\x03",  # its error response
        answer(LISTS, transaction=2),
        answer(LISTS)[:-4],
        answer(LISTS[:-1]),
        answer(b"\x35\x03\x19\x01"),
        answer(bytes((0x35, 2)) * 40),
        answer(b"\x37\xff\xff\xff\xff"),
    ],
)
def test_answers_that_are_none(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"directory|element"):
        find_channels(lambda request: bad)


def test_an_answer_without_end() -> None:
    def exchange(request: bytes) -> bytes:
        return answer(bytes(2000), int.from_bytes(request[1:3], "big"), b"more")

    with pytest.raises(ValueError, match="no end"):
        find_channels(exchange)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_channels_or_value_error(data: bytes, framed: bool) -> None:
    try:
        channels = find_channels(lambda request: answer(data) if framed else data)
    except ValueError:
        return
    assert all(1 <= channel <= 30 for channel in channels)


def test_bumble_s_directory_answers_it() -> None:
    """A third party's server, with a record between two others, in pieces of 48 bytes."""
    sdp = pytest.importorskip("bumble.sdp")
    core = pytest.importorskip("bumble.core")
    element = sdp.DataElement

    def record(handle: int, service: int, channel: int) -> list[Any]:
        protocols = [
            element.sequence([element.uuid(core.UUID.from_16_bits(0x0100))]),
            element.sequence(
                [element.uuid(core.UUID.from_16_bits(RFCOMM)), element.unsigned_integer_8(channel)]
            ),
        ]
        classes = [element.uuid(core.UUID.from_16_bits(service))]
        return [
            sdp.ServiceAttribute(0x0000, element.unsigned_integer_32(handle)),
            sdp.ServiceAttribute(0x0001, element.sequence(classes)),
            sdp.ServiceAttribute(0x0004, element.sequence(protocols)),
        ]

    class Channel:
        peer_mtu = 48
        said = b""

        def send_pdu(self, pdu: Any) -> None:
            self.said = bytes(pdu)

        write = send_pdu

    server = sdp.Server(device=None)
    server.service_records = {
        0x10001: record(0x10001, 0x1108, 2),
        0x10002: record(0x10002, SERIAL_PORT, 7),
        0x10003: record(0x10003, SERIAL_PORT, 11),
    }
    server.channel = Channel()

    def exchange(request: bytes) -> bytes:
        server.on_pdu(request)
        return server.channel.said

    assert find_channels(exchange) == [7, 11]
    assert find_channels(exchange, RFCOMM) == [2, 7, 11]


class L2capSocket(socket.socket):
    """One end of a pair that connects as an L2CAP socket does."""

    fault: OSError | None = None

    def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]
        assert address == ("00:06:66:AA:BB:CC", 1)
        if self.fault is not None:
            raise self.fault


def pair(work: Callable[[socket.socket], None]) -> tuple[L2capSocket, threading.Thread]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=lambda: (work(theirs), theirs.close()))
    thread.start()
    return L2capSocket(fileno=ours.detach()), thread


def test_over_a_socket() -> None:
    def serve(end: socket.socket) -> None:
        request = end.recv(100)
        end.send(answer(LISTS, int.from_bytes(request[1:3], "big")))

    made, thread = pair(serve)
    assert directory_channels("00:06:66:AA:BB:CC", lambda: made) == [1]
    assert made.fileno() == -1
    thread.join(5.0)


def test_all_services_where_none_is_a_serial_port() -> None:
    def serve(end: socket.socket) -> None:
        for lists in (b"\x35\x00", LISTS):
            request = end.recv(100)
            end.send(answer(lists, int.from_bytes(request[1:3], "big")))

    made, thread = pair(serve)
    assert directory_channels("00:06:66:AA:BB:CC", lambda: made) == [1]
    thread.join(5.0)


def test_a_directory_that_does_not_tell() -> None:
    made, thread = pair(lambda end: None)  # closes at once
    assert directory_channels("00:06:66:AA:BB:CC", lambda: made) == []
    thread.join(5.0)
    made, thread = pair(lambda end: None)
    made.fault = OSError(112, "Host is down")
    assert directory_channels("00:06:66:AA:BB:CC", lambda: made) == []
    thread.join(5.0)


@pytest.mark.skipif(hasattr(socket, "AF_BLUETOOTH"), reason="this Python has Bluetooth sockets")
def test_a_python_without_bluetooth_knows_nothing() -> None:
    assert directory_channels("00:06:66:AA:BB:CC") == []
