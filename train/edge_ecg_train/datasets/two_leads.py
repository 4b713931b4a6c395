"""For data sets whose files hold two leads side by side: one by default, the other or both on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar, Self

from edge_ecg.errors import UsageError
from edge_ecg.samples import FloatArray

from .base import Dataset, Recording, Span
from .whole_files import has_signal


class TwoLeadDataset(Dataset):
    """A data set of two leads.

    A person's two leads show the same heart: as windows of their own they would count every second twice. So
    one is read, unless both are asked for.

    Parameters
    ----------
    leads:
        Which leads, 0 or 1 or both; the first by default. The second one's sessions end in ``.2``.

    """

    lead_names: ClassVar[tuple[str, str]]

    def __init__(self, leads: Sequence[int] = (0,)) -> None:
        self.leads = tuple(leads)

    def with_channel(self, channel: str) -> Self:
        """The same set, with lead ``0``, ``1`` or ``both``.

        Raises
        ------
        UsageError
            When it is neither.

        """
        choices = {"0": (0,), "1": (1,), "both": (0, 1)}
        if channel not in choices:
            raise UsageError(
                f"{self.name} has no channel {channel!r}.",
                why=f"Its leads are 0 ({self.lead_names[0]}) and 1 ({self.lead_names[1]}).",
                remedy="Take --channel 0, --channel 1 or --channel both.",
            )
        return type(self)(choices[channel])

    def _of_leads(
        self,
        subject: str,
        session: str,
        fs_hz: float,
        ecg_mv: FloatArray,
        load: Callable[[int], FloatArray],
        spans: tuple[Span, ...],
    ) -> Iterator[Recording]:
        """Yield the chosen leads of (n, 2) millivolts; ``load`` reads one of them again, by its number."""
        for lead in self.leads:
            yield Recording(
                dataset=self.name,
                subject=subject,
                session=session if lead == 0 else f"{session}.{lead + 1}",
                lead=self.lead_names[lead],
                fs_hz=fs_hz,
                n_samples=len(ecg_mv),
                load=partial(load, lead),
                usable=has_signal(ecg_mv[:, lead]),
                spans=spans,
            )
