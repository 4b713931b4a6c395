"""The strip in a browser: over real HTTP, to whoever has the key and nobody else."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from edge_ecg.cli import main
from edge_ecg.errors import UsageError
from edge_ecg.samples import SampleBlock
from edge_ecg.session import EndRecord
from edge_ecg.strip import Trace
from edge_ecg.strip.watcher import Watcher
from edge_ecg.strip.web import StripServer, events

FS_HZ = 256.0
END = EndRecord(decisions=0, withheld=0, lost_samples=0, reason="source ended")


@pytest.fixture
def watcher() -> Watcher:
    """Six seconds with a hole of a quarter of one, and a mark."""
    watcher = Watcher(Trace(FS_HZ))
    wave = np.sin(np.arange(1536) / 9.0)
    for first in range(0, 1536, 64):
        if first != 640:
            watcher.write(SampleBlock(wave[first : first + 64], FS_HZ, first))
    watcher.mark(1.5, "</script>rest")
    return watcher


@pytest.fixture
def server(watcher: Watcher) -> Iterator[StripServer]:
    server = StripServer(watcher, "a title")
    yield server
    server.close()


def get(
    address: str, *, host: str | None = None, path: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 0, timeout=20)
    try:
        headers = {} if host is None else {"Host": host}
        connection.request("GET", path or f"{parts.path}?{parts.query}", headers=headers)
        response = connection.getresponse()
        return (
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
        )
    finally:
        connection.close()


def streamed(address: str) -> list[dict[str, Any]]:
    query = urlsplit(address).query
    status, headers, body = get(address, path=f"/events?{query}")
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    return [json.loads(line.removeprefix("data: ")) for line in body.decode().split("\n\n") if line]


def test_the_page_is_for_whoever_has_the_key(server: StripServer) -> None:
    status, headers, body = get(server.address)
    assert status == 200
    assert b"not a medical device" in body
    # Nothing is loaded from elsewhere, kept, or told to other pages.
    assert "default-src 'none'" in headers["content-security-policy"]
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert b"http" not in body
    status, headers, program = get(server.address, path="/strip.js")
    assert (status, headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert b"//" in program


@pytest.mark.parametrize("path", ["/", "/?key=", "/?key=wrong", "/events", "/events?key=é", "/nothing"])
def test_without_the_key_there_is_nothing(server: StripServer, path: str) -> None:
    status, _, body = get(server.address, path=path.replace("é", "%C3%A9"))
    assert (status, b"a title" in body) == (403, False)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example:80"])
def test_a_name_that_is_not_of_this_machine_is_refused(server: StripServer, host: str) -> None:
    for path in (None, "/strip.js"):
        assert get(server.address, host=host, path=path)[0] == 403


def test_what_does_not_exist(server: StripServer) -> None:
    query = urlsplit(server.address).query
    assert get(server.address, path=f"/etc/passwd?{query}")[0] == 404
    assert get(server.address, path=f"/../page.html?{query}")[0] == 404


def test_it_listens_on_loopback_only_and_on_a_free_port(server: StripServer, watcher: Watcher) -> None:
    assert server._server.socket.getsockname() == ("127.0.0.1", server.port)
    with pytest.raises(UsageError, match=f"Port {server.port} of this machine cannot be served"):
        StripServer(watcher, "another", server.port)


def test_the_stream_gives_every_sample_once(server: StripServer, watcher: Watcher) -> None:
    watcher.record(END)
    title, *middle, end = streamed(server.address)
    assert (title, end) == ({"title": "a title"}, {"end": True})
    runs = [run for event in middle for run in event["runs"]]
    stretch = watcher.stretch(0.0, 6.0)
    np.testing.assert_allclose(
        np.concatenate([run["t"] for run in runs]),
        np.concatenate([one.time_s for one in stretch.pieces]),
        atol=1e-4,
    )
    np.testing.assert_allclose(np.concatenate([run["mv"] for run in runs]), stretch.ecg_mv, atol=1e-4)
    assert [event["holes"] for event in middle] == [[[pytest.approx(2.4961), 2.75, 64]]]
    assert middle[0]["marks"] == [[1.5, "</script>rest"]]
    assert middle[0]["status"].endswith("bpm")


def test_what_comes_later_is_told_later(watcher: Watcher) -> None:
    closing = threading.Event()
    stream = events(watcher, "t", closing)
    next(stream)
    first = next(stream)
    watcher.write(SampleBlock(np.ones(64), FS_HZ, 1536))
    second = next(stream)
    assert first["runs"][-1]["t"][-1] == pytest.approx(1535 / FS_HZ, abs=1e-4)
    assert second["runs"][0]["t"][0] == pytest.approx(6.0)
    assert len(second["runs"][0]["t"]) == 64
    closing.set()
    assert list(stream) == []


def test_the_command_serves_until_its_source_ends(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "edge_ecg",
        "view",
        "--port",
        "sim:shimmer3",
        "--duration",
        "4",
        "--web",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = json.loads(process.stdout.readline())
        assert line["type"] == "web"
        assert line["url"].startswith("http://127.0.0.1:")
        found = streamed(line["url"])
        assert process.wait(timeout=60) == 0
    assert found[-1] == {"end": True}
    assert sum(len(run["t"]) for event in found for run in event.get("runs", [])) == 1024


def test_two_ways_at_once_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", "--demo", "--web", "--svg", str(tmp_path / "a.svg")]) == 2
    assert "two ways" in capsys.readouterr().err
    assert main(["view", "--demo", "--web", "99999"]) == 2
