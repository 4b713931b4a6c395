"""The one event loop of the radio, in a thread of its own: bleak is asyncio, everything else here is not.

There is one for the whole process, as bleak wants it, and it lives as long as the process.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")
_END_S = 2.0


class RadioLoop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="edge-ecg radio", daemon=True)
        self._thread.start()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, for ``call_soon_threadsafe``."""
        return self._loop

    def run(self, work: Coroutine[Any, Any, _T], timeout_s: float | None = None) -> _T:
        """Do ``work`` in the loop and wait for it from another thread; it is cancelled when the wait ends.

        Raises
        ------
        TimeoutError
            When it takes longer than ``timeout_s``.

        """
        future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except BaseException:  # Ctrl-C too
            future.cancel()
            raise

    def end(self) -> None:
        """Cancel what runs and end the thread."""
        if self._loop.is_closed():
            return
        with suppress(Exception):
            self.run(_cancel_others(), _END_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_S)
        if not self._loop.is_running():
            self._loop.close()


async def _cancel_others() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


_shared: RadioLoop | None = None
_lock = threading.Lock()


def radio_loop() -> RadioLoop:
    """Return the process's radio loop, started when first asked for."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = RadioLoop()
            atexit.register(_shared.end)
        return _shared
