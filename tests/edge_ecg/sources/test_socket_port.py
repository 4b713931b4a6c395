"""Stream sockets as transports, and TCP servers that close, refuse, say nothing or cannot be reached."""

from __future__ import annotations

import errno
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from edge_ecg.errors import DeviceError, UsageError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source, socket_port
from edge_ecg.sources.address import Address, parse_address
from edge_ecg.sources.opening import ByteStreamDoor
from edge_ecg.sources.session_source import SessionSource
from edge_ecg.sources.socket_port import SocketTransport, connect_tcp
from edge_ecg.sources.transport import TransportLostError
from edge_ecg_bridge.emulators import Shimmer3Emulator
from edge_ecg_bridge.synthetic import SyntheticEcg


@pytest.fixture
def pair() -> Iterator[tuple[SocketTransport, socket.socket]]:
    ours, theirs = socket.socketpair()
    transport = SocketTransport(ours, "pair", lambda: 7.0)
    with theirs:
        yield transport, theirs
    transport.close()


def test_it_carries_bytes_both_ways(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, theirs = pair
    assert transport.now() == 7.0
    assert transport.read(0.0) == b""
    theirs.sendall(b"hello")
    assert transport.read(1.0) == b"hello"
    transport.write(b"20")
    assert theirs.recv(10) == b"20"


def test_what_comes_a_little_later_is_gathered(
    pair: tuple[SocketTransport, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, theirs = pair
    monkeypatch.setattr(socket_port.time, "sleep", lambda seconds: theirs.sendall(b"second" * 1000))
    theirs.sendall(b"first")
    assert transport.read(1.0, 0.02) == b"first" + b"second" * 1000


def test_a_sender_that_never_pauses_does_not_hold_a_read(
    pair: tuple[SocketTransport, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read in turns of bounded size; nothing of it is dropped."""
    transport, theirs = pair
    theirs.setblocking(False)
    sent = 0
    for _ in range(1000):
        try:
            sent += theirs.send(b"x" * 4096)
        except BlockingIOError:
            break
    monkeypatch.setattr(socket_port.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(socket_port, "_MOST", 8192)
    pieces = []
    while piece := transport.read(0.0, 0.02):
        pieces.append(len(piece))
    assert max(pieces) <= 8192
    assert sum(pieces) == sent > 8192


def test_bytes_before_the_close_are_kept(
    pair: tuple[SocketTransport, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, theirs = pair
    theirs.sendall(b"last words")
    monkeypatch.setattr(socket_port.time, "sleep", lambda seconds: theirs.close())
    assert transport.read(1.0, 0.02) == b"last words"
    with pytest.raises(TransportLostError, match="other side closed"):
        transport.read(1.0)


def test_writing_to_nobody_and_to_somebody_who_does_not_read(
    pair: tuple[SocketTransport, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, theirs = pair
    monkeypatch.setattr(socket_port, "_WRITE_S", 0.0)
    with pytest.raises(TransportLostError, match="took no bytes"):
        transport.write(bytes(10**7))
    theirs.close()
    with pytest.raises(TransportLostError, match=r"Broken pipe|reset"):
        transport.write(b"x")


def test_closed_twice_and_used_afterwards(pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, _ = pair
    transport.close()
    transport.close()
    with pytest.raises(TransportLostError):
        transport.read(0.0)
    with pytest.raises(TransportLostError):
        transport.write(b"x")


# -- TCP -----------------------------------------------------------------------------------------------


@contextmanager
def server(work: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does ``work`` with its one client."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                work(client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"socket://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(5.0)
        assert not thread.is_alive()


def leaping() -> Callable[[], float]:
    ticks = iter(range(10**7))
    return lambda: next(ticks) * 0.05


def shimmer_at(address: Address) -> SessionSource:
    """Without a way back: the end of the connection is the end of the source."""
    door = ByteStreamDoor(
        address, lambda baud, rescan: connect_tcp(address), name=str(address), device="shimmer3"
    )
    return SessionSource(address, *door.connect())


def test_a_server_that_closes_in_mid_stream_loses_no_sample_before() -> None:
    device = Shimmer3Emulator(SyntheticEcg(seed=3))
    sent = bytearray()

    def work(client: socket.socket) -> None:
        client.settimeout(0.01)
        begin_s = time.monotonic()
        while (now_s := (time.monotonic() - begin_s) * 5.0) < 8.0:
            with suppress(TimeoutError):
                device.receive(client.recv(4096), now_s)
            data = device.bytes_to_send(now_s)
            client.sendall(data)
            sent.extend(data if device.streaming else b"")
        # Whoever closes with bytes unread resets the connection, and the last samples with it.
        client.shutdown(socket.SHUT_WR)

    with server(work) as text, shimmer_at(parse_address(text)) as source:
        count, items = 0, iter(source)
        with pytest.raises(DeviceError, match=r"unplugged or its link was lost") as raised:  # noqa: PT012
            for item in items:
                count += len(item) if isinstance(item, SampleBlock) else 0
    assert count == len(sent) // 20 > 500  # 18 bytes and a CRC of two; what is over is the ACK of the start
    assert "closed the connection" in raised.value.why


@pytest.mark.parametrize("device", [None, "shimmer3", "text"])
def test_a_server_that_closes_at_once(device: str | None) -> None:
    with server(lambda client: None) as address, pytest.raises(DeviceError, match=r"lost") as raised:
        open_source(address, device=device)
    assert raised.value.exit_code == 3
    assert re.search("closed the connection|reset by peer", raised.value.why)
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("device", "what"),
    [
        (None, "Nothing answers"),
        ("shimmer3", "Nothing on this port answers"),
        ("text", "No bytes from the board"),
    ],
)
def test_a_server_that_accepts_and_says_nothing(device: str | None, what: str) -> None:
    """Half open: the connection stands (its kernel accepts), and nobody is behind it."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        pytest.raises(DeviceError, match=what),
    ):
        open_source(f"socket://127.0.0.1:{listening.getsockname()[1]}", device=device, clock=leaping())


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(DeviceError, match=f"Nobody listens at 127.0.0.1:{port}") as raised:
        open_source(f"socket://127.0.0.1:{port}")
    assert "ser2net" in raised.value.remedy


@pytest.mark.parametrize("target", ["", "host", "host:", ":5007", "host:x", "host:0", "host:70000"])
def test_addresses_without_host_and_port(target: str) -> None:
    with pytest.raises(UsageError, match="names no host and port"):
        open_source(f"socket://{target}")


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "There is no machine named pi"),
        (TimeoutError("timed out"), "pi:5007 cannot be reached"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "pi:5007 cannot be reached"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "pi:5007 cannot be reached"),
        (OSError(errno.EMFILE, "Too many open files"), "pi:5007 cannot be opened"),
    ],
)
def test_other_faults_of_connecting(error: OSError, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(place: tuple[str, int], timeout: float) -> socket.socket:
        assert place == ("pi", 5007)
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(DeviceError, match=what) as raised:
        connect_tcp(parse_address("socket://pi:5007"))
    assert raised.value.why
    assert raised.value.remedy


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_is_no_name(host: str) -> None:
    with pytest.raises(DeviceError, match=f"no machine named {host}") as raised:
        connect_tcp(parse_address(f"socket://{host}:5007"))
    assert raised.value.why


def test_a_dead_peer_is_noticed_by_the_kernel() -> None:
    """Keep-alive is on, so that a server that was switched off ends the connection within seconds."""
    with server(lambda client: client.recv(1)) as address:
        transport = connect_tcp(parse_address(address))
        connection = transport._socket
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 3
        transport.close()


def test_ipv6_in_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    places = []

    def note(place: tuple[str, int], timeout: float) -> socket.socket:
        places.append(place)
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    monkeypatch.setattr(socket, "create_connection", note)
    with pytest.raises(DeviceError):
        connect_tcp(parse_address("socket://[::1]:5007"))
    assert places == [("::1", 5007)]
