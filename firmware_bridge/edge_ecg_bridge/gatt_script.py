"""The order of steps with a GATT device as a generator, so that it reads from top to bottom.

A script yields what to do and gets the answer; the class around it keeps deadlines, repeats what was not
answered, and hands everything else that comes to the session.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from .gatt import Action, Connected, Done, Happening, Pair, Refused, Value
from .stream import BridgeError, Event, Ready

CONNECT_S = 15.0
_STOP_S = 2.0
# A device's answers to a slow or busy radio; a pairing may need a person.
ANSWER_S = 5.0
PAIR_S = 30.0
_MAX_EARLY = 64


class RefusedError(Exception):
    """The device or its host refused a step; thrown into the script."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.text)
        self.code = refused.code
        self.text = refused.text


class NoAnswerError(Exception):
    """A step was not answered in time; thrown into the script."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Carry an action out.

    Attributes
    ----------
    action:
        What to do.
    reply:
        Which value of ``reply_on`` is the answer; None where the action's own end is.
    reply_on:
        The characteristic on which the device answers.
    timeout_s, tries:
        How long to wait, and how often to ask.

    """

    action: Action
    reply: Callable[[bytes], bool] | None = None
    reply_on: str = ""
    timeout_s: float = ANSWER_S
    tries: int = 2


@dataclass(frozen=True, slots=True)
class Pause:
    """Let so many seconds pass."""

    seconds: float


Script = Generator[Ask | Pause, bytes, Ready]
StopScript = Generator[Ask | Pause, bytes, None]


class ScriptRunner:
    """Runs one script at a time; the base of the GATT sessions.

    A subclass gives the scripts (``_set_up``, ``_tear_down``) and takes the values of the stream
    (``_value``). Values that come before the script is through are kept and handed over after it.
    """

    def __init__(self) -> None:
        self.finished = False
        self._ready = False
        self._events: list[Event] = []
        self._actions: list[Action] = []
        self._connected: Connected | None = None
        self._script: Script | StopScript | None = None
        self._step: Ask | Pause | None = None
        self._tries = 0
        self._asked_s = 0.0
        self._early: list[tuple[Value, float]] = []
        self._stop_deadline_s: float | None = None

    # -- what a subclass gives -------------------------------------------------------------------------

    def _set_up(self, found: Connected) -> Script:
        raise NotImplementedError

    def _tear_down(self) -> StopScript:
        raise NotImplementedError

    def _value(self, value: Value, now_s: float) -> None:
        raise NotImplementedError

    def _watch(self, now_s: float) -> None:
        """Look at the deadlines of a running stream."""

    # -- the GATT session protocol ---------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """Wait for the link."""
        self._asked_s = now_s

    def actions(self) -> list[Action]:
        """Return what is to be done, once."""
        actions, self._actions = self._actions, []
        return actions

    def events(self) -> list[Event]:
        """Return what has happened since the last call."""
        events, self._events = self._events, []
        return events

    def happened(self, what: Happening, now_s: float) -> None:
        """Take what happened on the link.

        Raises
        ------
        BridgeError
            When the device is not what it was taken for, refuses, or ends the stream.

        """
        if self.finished:
            return
        if isinstance(what, Connected):
            if self._connected is None:
                self._connected = what
                self._script = self._set_up(what)
                self._advance(None, now_s)
            return
        step = self._step
        if isinstance(what, Value):
            if _answers(step, what):
                self._advance(what.data, now_s)
            elif self._ready:
                self._value(what, now_s)
            elif len(self._early) < _MAX_EARLY:
                self._early.append((what, now_s))
        elif isinstance(step, Ask) and what.characteristic == _characteristic(step.action):
            if isinstance(what, Refused):
                self._advance(RefusedError(what), now_s)
            elif isinstance(what, Done) and step.reply is None:
                self._advance(what.data, now_s)

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass.

        Raises
        ------
        BridgeError
            When the device does not answer or sends no more.

        """
        step = self._step
        if isinstance(step, Pause) and now_s - self._asked_s >= step.seconds:
            self._advance(b"", now_s)
        elif isinstance(step, Ask) and now_s - self._asked_s >= step.timeout_s:
            if self._tries < step.tries:
                self._ask(step, now_s)
            else:
                self._advance(NoAnswerError(), now_s)
        elif self._connected is None and self._stop_deadline_s is None:
            if now_s - self._asked_s >= CONNECT_S:
                raise _not_connected()
        elif self._ready and self._stop_deadline_s is None:
            self._watch(now_s)
        if self._stop_deadline_s is not None and now_s >= self._stop_deadline_s:
            self.finished = True

    def stop(self, now_s: float) -> None:
        """Break off what runs and tell the device to stop; what it still sends is delivered."""
        if self._stop_deadline_s is not None:
            return
        self._stop_deadline_s = now_s + _STOP_S
        self._actions.clear()
        self._step = None
        if self._script is not None:
            self._script.close()
        if self._connected is None:
            self.finished = True
            return
        self._script = self._tear_down()
        self._advance(None, now_s)

    # -- running ---------------------------------------------------------------------------------------

    def _forget_early(self) -> None:
        """Throw away what came before a new start of the stream."""
        self._early.clear()

    def _advance(self, answer: bytes | Exception | None, now_s: float) -> None:
        assert self._script is not None
        self._step = None
        try:
            if isinstance(answer, Exception):
                step = self._script.throw(answer)
            else:
                step = next(self._script) if answer is None else self._script.send(answer)
        except StopIteration as done:
            self._through(done.value, now_s)
            return
        except (RefusedError, NoAnswerError):
            if self._stop_deadline_s is None:
                raise
            self.finished = True
            return
        self._tries = 0
        if isinstance(step, Ask):
            self._ask(step, now_s)
        else:
            self._step, self._asked_s = step, now_s

    def _ask(self, step: Ask, now_s: float) -> None:
        self._step, self._asked_s = step, now_s
        self._tries += 1
        self._actions.append(step.action)

    def _through(self, ready: Ready | None, now_s: float) -> None:
        if ready is None:
            self.finished = True
            return
        self._ready = True
        self._events.append(ready)
        early, self._early = self._early, []
        for value, came_s in early:
            self._value(value, came_s)


def _answers(step: Ask | Pause | None, value: Value) -> bool:
    if not isinstance(step, Ask) or step.reply is None or value.characteristic != step.reply_on:
        return False
    return step.reply(value.data)


def _characteristic(action: Action) -> str:
    return "" if isinstance(action, Pair) else getattr(action, "characteristic", "")


def _not_connected() -> BridgeError:
    return BridgeError(
        f"The device did not say what it offers within {CONNECT_S:g} s.",
        why="The link is too weak, or another program holds the device.",
        remedy="Bring it nearer, close other programs (and the phone's app), and start again.",
    )


def asked(step: Ask) -> Generator[Ask | Pause, bytes, bytes | None]:
    """Do a step that may fail; None when it did."""
    try:
        return (yield step)
    except (RefusedError, NoAnswerError):
        return None
