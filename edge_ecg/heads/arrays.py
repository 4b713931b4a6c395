"""Reading an ``.npz`` that may come from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def read_npz(file: str | Path | IO[bytes]) -> dict[str, NDArray[Any]]:
    """Return all arrays of an ``.npz``; none of them may be pickled.

    Raises
    ------
    ValueError
        When the file is missing, damaged, no ``.npz``, or holds Python objects.

    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    # What zipfile, zlib and numpy's header parser raise on hostile bytes is no closed list.
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error
