"""OpenBCI Ganglion over Bluetooth LE: codec and session.

The bytes given to the session are notification payloads of the service FE84, each whole. Firmware 1 and 2
send differences between samples, so a packet that is lost spoils all up to the next uncompressed one, which
comes once a second; what is spoilt is counted as lost and never shown. Firmware 3 sends the high bits of
every sample.

Source: OpenBCI documentation, "Ganglion Data Format" and "Ganglion SDK" (docs.openbci.com); the sense of the
differences is that of the Ganglion firmware 2.
"""

from .session import GanglionSession
from .setup import GanglionSettings
from .wire import NOTIFY_UUID, SERVICE_UUID, WRITE_UUID

__all__ = ["NOTIFY_UUID", "SERVICE_UUID", "WRITE_UUID", "GanglionSession", "GanglionSettings"]
