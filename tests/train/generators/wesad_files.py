"""WESAD as its owners distribute it: SX/SX.pkl, a pickle of protocol 0 that Python 2 wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FS_HZ = 700
PEOPLE = tuple(f"S{number}" for number in (*range(2, 12), *range(13, 18)))


@dataclass
class Written:
    """What a person's file holds: (n, 1) millivolts and (n,) codes."""

    ecg_mv: NDArray[np.float64]
    label: NDArray[np.int32]
    path: Path


def write_wesad(
    root: Path,
    make_ecg: Callable[..., NDArray[np.float64]],
    people: Iterable[str] = PEOPLE[:2],
    parts: Sequence[tuple[int, float]] = ((0, 1.0), (1, 1.0), (2, 1.0)),
    write: Callable[[Any], bytes] | None = None,
) -> dict[str, Written]:
    """Write a folder a person; ``parts`` are codes and how many seconds they last."""
    written = {}
    for seed, person in enumerate(people):
        label = np.concatenate([np.full(round(seconds * FS_HZ), code) for code, seconds in parts])
        ecg = make_ecg(len(label) / FS_HZ, FS_HZ, 65.0 + 5.0 * seed, seed=seed)[: len(label), None]
        path = root / "WESAD" / person / f"{person}.pkl"
        path.parent.mkdir(parents=True)
        content = person_content(person, ecg, label.astype(np.int32))
        path.write_bytes((write or python2_pickle)(content))
        written[person] = Written(ecg, label.astype(np.int32), path)
    return written


def person_content(person: str, ecg: NDArray[Any], label: NDArray[Any]) -> dict[str, Any]:
    """The dictionary of a person: RespiBAN on the chest, Empatica E4 on the wrist, labels."""
    n, seconds = len(ecg), len(ecg) / FS_HZ
    rng = np.random.default_rng(n)

    def channel(rows: int, columns: int = 1) -> NDArray[np.float64]:
        return rng.standard_normal((rows, columns)).round(2)

    chest: dict[str, Any] = {
        "ACC": channel(n, 3),
        "ECG": ecg,
        "EMG": channel(n),
        "EDA": channel(n),
        "Temp": channel(n).astype(np.float32),
        "Resp": channel(n),
    }
    rates = {"ACC": 32, "BVP": 64, "EDA": 4, "TEMP": 4}
    wrist = {name: channel(round(rate * seconds), 3 if name == "ACC" else 1) for name, rate in rates.items()}
    return {"signal": {"chest": chest, "wrist": wrist}, "label": label, "subject": person}


def python2_pickle(value: Any) -> bytes:
    """What ``pickle.dumps(value)`` of Python 2 gives, for dictionaries, strings and arrays (protocol 0)."""
    memo = 0

    def put() -> bytes:
        nonlocal memo
        memo += 1
        return b"p%d\n" % (memo - 1)

    def string(text: bytes) -> bytes:
        return b"S" + repr(text)[1:].encode() + b"\n" + put()

    def array(x: NDArray[Any]) -> bytes:
        shape = b"".join(b"I%d\n" % size for size in x.shape)
        kind = x.dtype.str[1:].encode()
        parts = [b"cnumpy.core.multiarray\n_reconstruct\n" + put(), b"(cnumpy\nndarray\n" + put()]
        parts += [b"(I0\nt" + put(), string(b"b"), b"t" + put(), b"R" + put()]
        parts += [b"(I1\n(" + shape + b"t" + put()]
        parts += [b"cnumpy\ndtype\n" + put(), b"(" + string(kind), b"I0\nI1\nt" + put(), b"R" + put()]
        parts += [b"(I3\n" + string(x.dtype.str[:1].encode()), b"NNNI-1\nI-1\nI0\nt" + put(), b"b"]
        parts += [b"I00\n", string(x.tobytes()), b"t" + put(), b"b"]
        return b"".join(parts)

    def save(one: Any) -> bytes:
        if isinstance(one, dict):
            begin = b"(d" + put()
            return begin + b"".join(string(key.encode()) + save(of_key) + b"s" for key, of_key in one.items())
        return array(one) if isinstance(one, np.ndarray) else string(one.encode())

    return save(value) + b"."
