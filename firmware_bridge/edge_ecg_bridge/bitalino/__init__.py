"""BITalino over Bluetooth serial: codec and session.

Source: the frame layout and commands of the BITalino (r)evolution MCU data sheet; the ECG sensor's transfer
function of its own data sheet (gain 1100, 3.3 V).
"""

from .recognise import QUESTION, recognise
from .session import BitalinoSession
from .setup import RATES_HZ, BitalinoSettings

__all__ = ["QUESTION", "RATES_HZ", "BitalinoSession", "BitalinoSettings", "recognise"]
