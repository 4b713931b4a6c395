"""More than one taker: records to a screen and to the network, samples to a file and to the network."""

from __future__ import annotations

from ..records import Record
from ..samples import SampleBlock
from ..session import BlockSink
from .base import Sink


class Sinks:
    """Hands each record to all, in their order."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def write(self, record: Record) -> None:
        """Hand one record on."""
        for sink in self._sinks:
            sink.write(record)

    def close(self) -> None:
        """Close all."""
        for sink in self._sinks:
            sink.close()


class BlockSinks:
    """Hands each block and each mark to all, in their order."""

    def __init__(self, *sinks: BlockSink) -> None:
        self._sinks = sinks

    def write(self, block: SampleBlock) -> None:
        """Hand one block on."""
        for sink in self._sinks:
            sink.write(block)

    def mark(self, at_s: float, text: str) -> None:
        """Hand one mark on."""
        for sink in self._sinks:
            sink.mark(at_s, text)
