"""The data sets that edge-ecg can read: one table, so that all commands know the same ones."""

from __future__ import annotations

from edge_ecg.errors import UsageError

from .amigos import Amigos
from .ascertain import Ascertain
from .base import Dataset, Form, Recording, Report, Span
from .cinc2017 import Cinc2017
from .dreamer import Dreamer
from .drivedb import Drivedb
from .eegmat import Eegmat
from .generic import Generic
from .mitdb import Mitdb
from .nilspod import Nilspod
from .qtdb import Qtdb
from .swell import Swell
from .wesad import Wesad

_ALL: tuple[Dataset, ...] = (
    Eegmat(),
    Wesad(),
    Swell(),
    Amigos(),
    Dreamer(),
    Ascertain(),
    Drivedb(),
    Nilspod(),
    Qtdb(),
    Cinc2017(),
    Mitdb(),
    Generic(),
)
DATASETS: dict[str, Dataset] = {one.name: one for one in _ALL}

__all__ = ["DATASETS", "Dataset", "Form", "Recording", "Report", "Span", "get_dataset"]


def get_dataset(name: str) -> Dataset:
    """Look a data set up by its name.

    Raises
    ------
    UsageError
        When there is none of that name.

    """
    try:
        return DATASETS[name]
    except KeyError:
        raise UsageError(
            f"There is no data set {name!r}.",
            why=f"edge-ecg knows {', '.join(DATASETS)}.",
            remedy="See: edge-ecg data list",
        ) from None
