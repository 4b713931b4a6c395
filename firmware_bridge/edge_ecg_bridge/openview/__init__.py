"""ProtoCentral ADS1292R boards that send the OpenView format: codec and session.

    0A FA | length, two bytes, low one first | 02 | payload | 00 0B

The payload of eight bytes holds four signed 16-bit numbers, low byte first: ECG, respiration, heart rate,
respiration rate; longer payloads, of older sketches, begin with the ECG as well. Electrode off is a payload
of zeros. There is neither a check sum nor a counter nor a time: the rate is counted, and losses show only as
damaged bytes and as pauses.

Source: the example sketches of ProtoCentral's ADS1292R library, 1.x and 2.0; ADS1292R data sheet (SBAS502).
"""

from .frames import BAUD, recognise
from .session import OpenViewSession, OpenViewSettings

__all__ = ["BAUD", "OpenViewSession", "OpenViewSettings", "recognise"]
