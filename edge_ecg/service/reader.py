"""The thread that reads and decides: it opens the device, again and again, and never gives up on it.

open -> session -> records -> sinks          a device that is lost is waited for by the source itself
  '------- back off <--- lost -----'         (docs/acquisition.md); what was never there, by this loop
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..errors import DataError, DeviceError, EdgeEcgError, UsageError
from ..home import home_folder
from ..model import Model
from ..people import People
from ..profile import Profile
from ..records import DecisionRecord, EventRecord, Record
from ..samples import SampleBlock
from ..session import Session
from ..sources import Source, parse_address
from ..sources.reconnect import BackOff
from .log import Log
from .outputs import JournalSink, RecordFile, answer_in_words
from .pulse import Pulse
from .recordings import Recordings
from .schema import ServiceConfig
from .world import World

REOPEN_S = 300.0
"""A device that was lost for so long may be another one when it comes: that is a new session."""

_MB = 1_000_000
_ENDLESS_SCHEMES = frozenset({"serial", "socket", "rfc2217", "bt", "ble", "lsl"})


class Reader:
    """Reads in a thread of its own from :meth:`start` to :meth:`stop`; tells its pulse how it is.

    Attributes
    ----------
    failure:
        What ended it, where that was not :meth:`stop`: a configuration that the device refuses (UsageError),
        a model that does not fit (BundleError), or a bug (anything else).
    hindrance:
        Why nothing is recorded, though it should be; empty otherwise.

    """

    def __init__(
        self,
        config: ServiceConfig,
        model: Model,
        profile: Profile | None,
        pulse: Pulse,
        log: Log,
        world: World,
    ) -> None:
        self.failure: BaseException | None = None
        self.failure_text = ""
        self.hindrance = ""
        self._config = config
        self._model = model
        self._profile = profile
        self._pulse = pulse
        self._log = log
        self._world = world
        self._source: Source | None = None
        self._source_lock = threading.Lock()
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._told = ""
        self._thread = threading.Thread(target=self._work, name="reader of the service", daemon=True)

    @property
    def place(self) -> str:
        """Where it looks for a device."""
        return self._config.source.port or "the one device that is plugged in"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def feel(self, now_s: float) -> None:
        """Tell the pulse whether the source's own search for the device has moved."""
        turns = getattr(self._source, "turns", None)
        if turns is not None:
            self._pulse.turned(now_s, turns)

    def reopen(self) -> bool:
        """Let go of a source that waits for a device; the next one is opened anew. False: there is none."""
        source = self._source
        if source is None:
            return False
        source.close()
        return True

    def stop(self, timeout_s: float) -> bool:
        """Stop the device, finish the files, and return whether that was done in time."""
        self._closing.set()
        with self._source_lock:
            source = self._source
        if source is not None:
            source.close()
        return not self._thread.is_alive() or self._ended.wait(timeout_s)

    # -- the thread ------------------------------------------------------------------------------------

    def _work(self) -> None:
        back_off = BackOff()
        try:
            while not self._closing.is_set():
                try:
                    with self._opened() as source:
                        back_off = BackOff()
                        over = self._session(source)
                except (DeviceError, DataError) as error:
                    self._missing(error)
                    back_off.failed()
                else:
                    if over:
                        self._pulse.over(self._world.clock())
                        self._log.notice("The recording is over; the service stays, and does nothing more.")
                        self._closing.wait()
                self._closing.wait(back_off.delay_s)
        except BaseException as error:  # whatever it is, it is the main thread's to judge
            self.failure_text = traceback.format_exc()
            self.failure = error
        finally:
            self._ended.set()

    @contextmanager
    def _opened(self) -> Iterator[Source]:
        port = self._config.source.port or self._world.only_port()
        try:
            source = self._world.open_source(port, device=self._config.source.device, clock=self._world.clock)
        except UsageError as error:
            # An option that the device behind the port does not know, two LSL streams of one name: what is
            # out there can change, and a restart does not change it.
            raise DeviceError(error.what, why=error.why, remedy=error.remedy) from None
        try:
            with self._source_lock:
                self._source = source
            if self._closing.is_set():  # told to stop while the device was being opened
                source.close()
            yield source
        finally:
            with self._source_lock:
                self._source = None
            source.close()

    def _session(self, source: Source) -> bool:
        """Decide until the source ends; return whether it was a recording, which is over then."""
        world, model = self._world, self._config.model
        self._told = ""
        with ExitStack() as stack:
            recordings = None
            if self._config.record.directory is not None:
                recordings = Recordings(
                    self._config.record,
                    source.info,
                    self._log,
                    wall_clock=world.wall_clock,
                    person=self._profile.person if self._profile else None,
                    people=People(home_folder(os.environ), world.wall_clock),
                )
                stack.callback(recordings.close)
            session = Session(
                source,
                self._model,
                hop_s=model.hop_s,
                notch_hz=model.notch_hz,
                profile=self._profile,
                context_s=model.context_s,
                recorder=_Tap(self, recordings),
                clock=world.clock,
                wall_clock=world.wall_clock,
            )
            write = self._sinks(stack)
            device = f"{source.info.device} at {source.info.address}"
            if not self._closing.is_set():
                self._pulse.streaming(world.clock(), device)
            reason: str | None = None
            try:
                for record in session:
                    write(record)
                    self._heed(record, device)
            except EdgeEcgError as error:
                reason = error.what
                raise
            finally:
                write(session.end("stopped" if self._closing.is_set() else reason))
        scheme = parse_address(source.info.address).scheme
        if scheme in _ENDLESS_SCHEMES and not self._closing.is_set():
            self._pulse.looking(world.clock(), "its stream ended")
            return False
        return not self._closing.is_set()

    def _heed(self, record: Record, device: str) -> None:
        """Tell the pulse what a record means."""
        now_s = self._world.clock()
        if isinstance(record, DecisionRecord):
            self._pulse.recorded(self._world.wall_clock(), answer_in_words(record), record.withheld)
        elif isinstance(record, EventRecord) and record.event == "lost":
            self._pulse.looking(now_s, str(record.detail.get("why", "it was lost")))
        elif isinstance(record, EventRecord) and record.event == "reconnected":
            self._pulse.streaming(now_s, device)

    def _sinks(self, stack: ExitStack) -> Callable[[Record], None]:
        output = self._config.output
        journal = JournalSink(self._log, output.journal, self._world.stdout, self._world.clock)
        file: RecordFile | None = None
        if output.file is not None:
            try:
                file = RecordFile(Path(output.file), output.file_limit_mb * _MB)
            except DataError as error:
                self._log.failure(error)

        @stack.callback
        def close() -> None:
            nonlocal file
            if file is not None:
                ended, file = file, None
                try:
                    ended.close()
                except DataError as error:  # of a full disk the service does not die either
                    self._log.failure(error)

        def write(record: Record) -> None:
            nonlocal file
            journal.write(record)
            if file is not None:
                try:
                    file.write(record)
                except DataError as error:  # a full disk does not stop the decisions
                    self._log.failure(error)
                    with suppress(DataError):
                        file.close()
                    file = None

        return write

    def _missing(self, error: EdgeEcgError) -> None:
        self._pulse.looking(self._world.clock(), error.what)
        text = f"{error.what} {error.why}".strip()
        if text != self._told:  # once, and again when it is another reason
            self._told = text
            self._log.warning(f"Looking for {self.place}: {text} {error.remedy}".rstrip())


class _Tap:
    """Between the source and the pipeline: every block passes here, and on into the recording."""

    def __init__(self, reader: Reader, recordings: Recordings | None) -> None:
        self._reader = reader
        self._recordings = recordings

    def write(self, block: SampleBlock) -> None:
        """Take one block."""
        reader = self._reader
        if self._recordings is not None:
            self._recordings.write(block)
            reader.hindrance = self._recordings.stopped
        world = reader._world
        reader._pulse.flowed(world.clock(), world.wall_clock(), len(block), len(block) / block.fs_hz)

    def mark(self, at_s: float, text: str) -> None:
        """Take one mark."""
        if self._recordings is not None:
            self._recordings.mark(at_s, text)
