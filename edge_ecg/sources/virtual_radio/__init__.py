"""A Bluetooth LE radio without hardware: virtual sensors on the air, and a BlueZ that unmodified clients use.

A private D-Bus carries a small ``org.bluez``, whose adapter hears the virtual sensors over bumble's
virtual radio. A program that is started with ``DBUS_SYSTEM_BUS_ADDRESS`` set to that bus scans, connects and
streams as it would on a Raspberry Pi. Needs ``dbus-daemon`` and the package ``bumble``; Linux only.
"""

from .host import BleHost
from .radio import BUS_VARIABLE, VirtualRadio, missing_parts

__all__ = ["BUS_VARIABLE", "BleHost", "VirtualRadio", "missing_parts"]
