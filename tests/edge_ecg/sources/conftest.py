"""Virtual devices on real pseudo-terminals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge_ecg.sources.pty_host import PtyHost
from edge_ecg_bridge.emulators import Emulator


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., PtyHost]]:
    """Put a virtual device on a pty named PORT in the test's folder; it is served in a thread."""
    with ExitStack() as stack:

        def begin(device: Emulator, *, name: str = "port", speed: float = 1.0) -> PtyHost:
            host = stack.enter_context(PtyHost(device, link=tmp_path / name, speed=speed))
            end = []

            def work() -> None:
                end.append(host.serve())
                host.close()

            thread = threading.Thread(target=work)
            thread.start()
            stack.callback(thread.join, 10.0)
            stack.callback(host.stop)
            return host

        yield begin
