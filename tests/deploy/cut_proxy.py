"""A link that is cut after so many bytes, in both directions together."""

from __future__ import annotations

import selectors
import socket
import struct
import threading


class CutProxy:
    """Listens on ``port`` and passes on to ``target`` until ``limit`` bytes have gone through.

    With ``silent`` it then keeps the connection and passes nothing on, as a lost radio link does; else it
    closes both ends. ``total`` counts what went through; a limit of None never cuts.
    """

    def __init__(self, target: int, limit: int | None = None, *, silent: bool = False) -> None:
        self.target, self.limit, self.silent = target, limit, silent
        self.total = 0
        self.cut = False
        self._near: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="cut-proxy", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._wake.close()
        self._thread.join()
        self._listener.close()
        self._woken.close()

    def _serve(self) -> None:
        other: dict[socket.socket, socket.socket] = {}
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    end = key.fileobj
                    assert isinstance(end, socket.socket)
                    if end is self._woken:
                        for one in other:
                            one.close()
                        return
                    if end is self._listener:
                        self._accept(selector, other)
                    elif end in other and not self.cut:  # the other end of what was just cut may be due, too
                        self._pass(end, selector, other)

    def _accept(self, selector: selectors.BaseSelector, other: dict[socket.socket, socket.socket]) -> None:
        near, _ = self._listener.accept()
        if self.cut:
            near.close()
            return
        far = socket.create_connection(("127.0.0.1", self.target))
        other[near], other[far] = far, near
        self._near.add(near)
        for one in (near, far):
            selector.register(one, selectors.EVENT_READ)

    def _pass(
        self, end: socket.socket, selector: selectors.BaseSelector, other: dict[socket.socket, socket.socket]
    ) -> None:
        room = 65536 if self.limit is None else min(65536, self.limit - self.total)
        try:
            data = end.recv(room) if room else b""
        except OSError:
            data = b""
        if data:
            try:
                other[end].sendall(data)
            except OSError:
                data = b""
            self.total += len(data)
        reached = self.limit is not None and self.total >= self.limit
        if reached:
            self.cut = True
            if self.silent:
                for one in (end, other[end]):
                    selector.unregister(one)
                return
        if not data or reached:
            for one in (end, other[end]):
                selector.unregister(one)
                # The client gets a reset; sshd an end, or it would never read what has already come.
                if one in self._near:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()
            del other[other.pop(end)]
