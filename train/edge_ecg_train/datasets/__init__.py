"""The data sets that edge-ecg can read: one table, so that all commands know the same ones."""

from __future__ import annotations

from edge_ecg.errors import UsageError

from .base import Dataset, Form, Recording, Report
from .cinc2017 import Cinc2017
from .eegmat import Eegmat
from .mitdb import Mitdb
from .qtdb import Qtdb

DATASETS: dict[str, Dataset] = {one.name: one for one in (Eegmat(), Qtdb(), Cinc2017(), Mitdb())}

__all__ = ["DATASETS", "Dataset", "Form", "Recording", "Report", "get_dataset"]


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
