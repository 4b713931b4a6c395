"""Objects on a D-Bus: their properties and signals, and the methods that programs call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

_PROPERTIES, _MANAGER = "org.freedesktop.DBus.Properties", "org.freedesktop.DBus.ObjectManager"
# What the D-Bus library answers by itself.
_LIBRARY = ("org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable")

Answer = tuple[str, list[Any]]
"""Signature and body of a method's answer."""
Handlers = Mapping[str, Mapping[str, Callable[..., Awaitable[Answer]]]]
"""Interface -> method -> what answers it, called with the object's path and the arguments."""
Objects = dict[str, dict[str, dict[str, Variant]]]
"""Path -> interface -> properties."""


class BusError(Exception):
    """An error to answer with: its D-Bus name (after ``org.bluez.Error.``) and its text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name if "." in name else f"org.bluez.Error.{name}"
        self.text = text


class BusObjects:
    """A tree of objects under a name on a bus; everything happens in the loop that made it.

    Parameters
    ----------
    bus_address:
        The bus.
    name:
        The name to own.

    Attributes
    ----------
    calls:
        The methods that were called, in their order.

    """

    def __init__(self, bus_address: str, name: str) -> None:
        self.calls: list[str] = []
        self._bus_address, self._name = bus_address, name
        self._bus: MessageBus | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._objects: Objects = {}

    async def come_back(self) -> None:
        """Take the name."""
        bus = await MessageBus(bus_address=self._bus_address).connect()
        bus.add_message_handler(self._on_message)
        await bus.request_name(self._name)
        self._bus = bus

    async def _leave(self) -> None:
        """Leave the bus without a word."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.disconnect()
            gone: Any = bus.wait_for_disconnect  # which is not typed
            await gone()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _handlers(self) -> Handlers:
        raise NotImplementedError

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- methods ---------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> Message | bool | None:
        if message.message_type != MessageType.METHOD_CALL or not message.path:
            return None
        known = message.path in self._objects or message.path == "/"
        if not known or message.interface in (
            "org.freedesktop.DBus.Peer",
            "org.freedesktop.DBus.Introspectable",
        ):
            return None
        self.calls.append(str(message.member))
        self._begin(self._answer(message))
        return True

    async def _answer(self, message: Message) -> None:
        try:
            signature, body = await self._call(message)
            reply = Message.new_method_return(message, signature, body)
        except BusError as error:
            reply = Message.new_error(message, error.name, error.text)
        if self._bus is not None:
            await self._bus.send(reply)

    async def _call(self, message: Message) -> Answer:
        path, member = message.path or "/", message.member or ""
        if message.interface == _MANAGER and member == "GetManagedObjects":
            return "a{oa{sa{sv}}}", [self._objects]
        if message.interface == _PROPERTIES:
            return self._property(path, member, message.body)
        handler = self._handlers().get(message.interface or "", {}).get(member)
        if handler is None:
            raise BusError("org.freedesktop.DBus.Error.UnknownMethod", f"No method {member}")
        return await handler(path, *message.body)

    def _property(self, path: str, member: str, body: list[Any]) -> Answer:
        properties = self._objects.get(path, {}).get(body[0], {})
        if member == "GetAll":
            return "a{sv}", [properties]
        if member == "Get" and body[1] in properties:
            return "v", [properties[body[1]]]
        if member == "Set":
            self._set(path, body[0], {body[1]: body[2]})
            return "", []
        raise BusError("org.freedesktop.DBus.Error.InvalidArgs", f"No property {body[1:2]}")

    # -- properties and signals --------------------------------------------------------------------------

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._bus is not None:
            self._bus.send(Message.new_signal(path, interface, member, signature, body))

    def _set(self, path: str, interface: str, changed: dict[str, Variant]) -> None:
        self._objects[path][interface].update(changed)
        self._signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, changed, []])

    def _add(self, path: str, interface: str, properties: dict[str, Variant]) -> None:
        self._objects[path] = {interface: properties}
        self._signal("/", _MANAGER, "InterfacesAdded", "oa{sa{sv}}", [path, {interface: properties}])

    def _remove(self, path: str) -> None:
        interfaces = list(self._objects.pop(path))
        self._signal("/", _MANAGER, "InterfacesRemoved", "oas", [path, interfaces])
