"""Which licences the runtime may depend on: permissive ones, and a few others for a stated reason each."""

from __future__ import annotations

from dataclasses import dataclass

from .spdx import evaluate

# They ask for their notice to be kept, at most.
PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD-3-Clause-Open-MPI",
        "BSL-1.0",
        "CC0-1.0",
        "HDF5",
        "ISC",
        "LicenseRef-Ooura",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Python-2.0",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
    }
)

_MPL = (
    "copyleft file by file: who passes it on unchanged owes its text and a word on where its source is; "
    "nothing is owed for the code beside it"
)
# By component and licence: what is tolerated in one place is not so in another.
TOLERATED: dict[tuple[str, str], str] = {
    ("tqdm", "MPL-2.0"): f"{_MPL}. It comes with ai-edge-litert; edge-ecg does not import it",
    ("eigen", "MPL-2.0"): f"{_MPL}. Headers that are compiled into the inference engines",
    ("libgfortran", "GPL-3.0-or-later WITH GCC-exception-3.1"): (
        "GCC's runtime library; its exception lets programs that were compiled with GCC have any licence"
    ),
    ("libquadmath", "LGPL-2.1-or-later"): (
        "a shared library of its own in NumPy's wheel for x86-64, which anybody can exchange; "
        "wheels for the Raspberry Pi have none"
    ),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a component may be depended on, and the reason where that is not plain."""

    accepted: bool
    reason: str = ""


def judge(name: str, licence: str | None) -> Verdict:
    """Judge a component by its normalised name and its licence expression, None where it has none."""
    if licence is None:
        return Verdict(False, "its licence is not known")
    reasons = []

    def accepts(one: str) -> bool:
        # An exception gives more than the licence alone does.
        if one in PERMISSIVE or one.partition(" WITH ")[0] in PERMISSIVE:
            return True
        reason = TOLERATED.get((name, one))
        if reason is not None:
            reasons.append(reason)
        return reason is not None

    try:
        accepted = evaluate(licence, accepts)
    except ValueError:
        return Verdict(False, f"its licence reads {licence!r}, which is no expression that can be judged")
    if not accepted:
        return Verdict(False, f"{licence} is not among the permissive licences")
    # Where one of several licences can be chosen, the permissive one is.
    plain = evaluate(licence, lambda one: one.partition(" WITH ")[0] in PERMISSIVE)
    return Verdict(True, "" if plain else "; ".join(dict.fromkeys(reasons)))
