"""The strip in a browser, on loopback: one page and a stream of server-sent events (HTML Living Standard).

Only this machine can connect, and only who has the address with its key: others may be logged in here. A page
elsewhere cannot read it either: the key is no cookie, and a name that is not of loopback is refused (DNS
rebinding).
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from ..errors import UsageError
from .screen import answer
from .terminal import status
from .trace import Stretch
from .watcher import Watcher

HOST = "127.0.0.1"
# How often a browser is told, and how far beats are looked for behind what is new.
_EVERY_S, _BEHIND_S = 0.1, 6.0
# One browser or a few; each costs a thread.
_MOST_BROWSERS = 8


class StripServer:
    """Serve what a watcher knows, until it is closed.

    Parameters
    ----------
    watcher:
        Is asked several times a second by each browser.
    title:
        Stands above the strip.
    port:
        0 for any that is free.

    Attributes
    ----------
    address:
        What to open in a browser, with its key.

    Raises
    ------
    UsageError
        When the port is taken.

    """

    def __init__(self, watcher: Watcher, title: str, port: int = 0) -> None:
        self._key = secrets.token_urlsafe(16)
        try:
            self._server = _Server((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"Port {port} of this machine cannot be served.",
                why=f"{str(getattr(error, 'strerror', None) or error).rstrip('.')}.",
                remedy="Give another one: --web PORT, or --web alone for any that is free.",
            ) from error
        self._server.watcher, self._server.title, self._server.key = watcher, title, self._key
        self.port = int(self._server.server_address[1])
        self.address = f"http://{HOST}:{self.port}/?key={self._key}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="web", daemon=True
        )
        self._thread.start()

    def finish(self, seconds: float = 2.0) -> None:
        """Wait until the browsers have been given all, but no longer than some seconds."""
        end_s = time.monotonic() + seconds
        while self._server.streams and time.monotonic() < end_s:
            self._server.closing.wait(_EVERY_S)

    def close(self) -> None:
        """Stop serving; browsers see the end of the stream."""
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    watcher: Watcher
    title = ""
    key = ""

    def __init__(self, *arguments: Any) -> None:
        self.closing = threading.Event()
        self.streams: set[int] = set()
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """Bind, without asking a name server what this machine is called, as http.server does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "edge-ecg", ""
    # A browser that opens a connection and says nothing.
    timeout = 30

    def do_GET(self) -> None:
        """Give the page, its program, or the stream."""
        asked = urlsplit(self.path)
        if self._from_here() and asked.path == "/strip.js":
            # The program is the same for all, and holds nothing of anybody.
            self._say(200, "text/javascript", _read("strip.js"))
        elif not self._from_here() or not self._has_key(parse_qs(asked.query)):
            self._say(403, "text/plain", b"Open the address that edge-ecg has printed.\n")
        elif asked.path == "/":
            self._say(200, "text/html", _read("page.html"))
        elif asked.path == "/events":
            self._stream()
        else:
            self._say(404, "text/plain", b"There is no such page.\n")

    def log_message(self, *_: object) -> None:
        """Nothing: addresses hold the key."""

    def _from_here(self) -> bool:
        name = (self.headers.get("Host") or "").rpartition(":")[0]
        return name in (HOST, "localhost")

    def _has_key(self, query: Mapping[str, list[str]]) -> bool:
        given = query.get("key", [""])[0]
        return hmac.compare_digest(given.encode(), self.server.key.encode())

    def _say(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self._guard()
        self.end_headers()
        self.wfile.write(body)

    def _guard(self) -> None:
        """Nothing from elsewhere is loaded, nothing is kept, and the key goes nowhere."""
        self.send_header(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        )
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")

    def _stream(self) -> None:
        if len(self.server.streams) >= _MOST_BROWSERS:
            self._say(503, "text/plain", b"Too many browsers show this strip already.\n")
            return
        self.server.streams.add(id(self))
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self._guard()
            self.end_headers()
            for event in events(self.server.watcher, self.server.title, self.server.closing):
                self.wfile.write(f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode())
                self.wfile.flush()
        except OSError:
            pass  # the browser has gone
        finally:
            self.server.streams.discard(id(self))


def events(watcher: Watcher, title: str, closing: threading.Event) -> Iterator[dict[str, Any]]:
    """Yield what is new, ten times a second: samples as runs without a hole, beats, holes, marks, texts."""
    from_s = watcher.start_s
    yield {"title": title}
    while True:
        to_s = watcher.end_s
        ended = watcher.end is not None
        if to_s > from_s:
            recent = watcher.stretch(to_s - _BEHIND_S, to_s)
            yield _event(watcher, watcher.stretch(from_s, to_s), recent, to_s)
            from_s = to_s
        if ended and watcher.end_s <= from_s:
            yield {"end": True}
            return
        if closing.wait(_EVERY_S):
            return


def _event(watcher: Watcher, new: Stretch, recent: Stretch, at_s: float) -> dict[str, Any]:
    judged = watcher.judged(at_s)
    if judged is None:
        state = status(recent.heart_rate_bpm, None, ())
    else:
        state = status(judged.heart_rate_bpm, judged.quality, judged.reasons)
    decides = watcher.start is not None and watcher.start.model is not None
    return {
        "runs": [
            {
                "t": np.round(piece.time_s, 4).tolist(),
                "mv": np.round(piece.ecg_mv, 4).tolist(),
                "off": piece.lead_off.astype(int).tolist() if piece.lead_off.any() else [],
            }
            for piece in new.pieces
        ],
        # The last seconds' beats anew: a beat is certain only when what follows it is there.
        "beats": np.round(recent.beats_s, 3).tolist(),
        "since": round(recent.from_s, 3),
        "holes": [[round(one.from_s, 4), round(one.to_s, 4), one.lost_samples] for one in new.holes],
        "marks": [[round(mark.at_s, 3), mark.label] for mark in new.marks],
        "status": state.plain,
        "answer": answer(watcher.decision(at_s)).plain if decides else "",
    }


def _read(name: str) -> bytes:
    return files("edge_ecg.strip").joinpath("pages", name).read_bytes()
