"""Polar chest straps over Bluetooth LE: ECG and acceleration by the Polar Measurement Data service (PMD).

Source: "Polar Measurement Data Specification" (online_measurement.pdf), "Polar time system explained" and
"Known issues" of the Polar BLE SDK.
"""

from .session import PolarSession
from .setup import PolarSettings

__all__ = ["PolarSession", "PolarSettings"]
