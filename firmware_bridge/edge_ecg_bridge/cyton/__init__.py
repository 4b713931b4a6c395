"""OpenBCI Cyton over its USB dongle: codec and session.

Sources: OpenBCI documentation, "Cyton Data Format" and "Cyton Board SDK" (docs.openbci.com); ADS1299 data
sheet (SBAS499), table 7, for the scale.
"""

from .recognise import QUESTION, recognise
from .session import CytonSession
from .setup import CytonSettings
from .wire import GAINS

__all__ = ["GAINS", "QUESTION", "CytonSession", "CytonSettings", "recognise"]
