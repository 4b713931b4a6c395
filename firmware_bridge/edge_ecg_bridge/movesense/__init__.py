"""Movesense sensors over Bluetooth LE: the GATT SensorData protocol (factory setting since firmware 2.3).

Source: the "GATT SensorData" sample of the Movesense device library and its API of ``/Meas/ECG`` and
``/Meas/Acc``.
"""

from .session import MovesenseSession, MovesenseSettings

__all__ = ["MovesenseSession", "MovesenseSettings"]
