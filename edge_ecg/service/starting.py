"""What stands between the start of the process and READY: the release's model, and proof that it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..bench import check_engine
from ..bundle import Golden
from ..deploy.layout import BUNDLE_NAME, Home
from ..errors import GateError
from ..model import Model, load_model
from ..pipeline import check_preprocessing
from ..profile import Profile, load_profile
from .schema import ModelSection


@dataclass(frozen=True, slots=True)
class Engine:
    """What decides: a model that has passed its golden windows here, and the baseline in use."""

    model: Model
    profile: Profile | None


def bundle_of(home: Home, release: str, section: ModelSection) -> Path | None:
    """Return the bundle to use: the configuration's, the release's, or None for the one of the package."""
    if section.bundle is not None:
        return Path(section.bundle)
    return home.release(release) / BUNDLE_NAME if release else None


def load_engine(bundle: Path | None, section: ModelSection, step: Callable[[str], None]) -> Engine:
    """Open the model, run its golden windows, read the baseline.

    Parameters
    ----------
    bundle:
        The file; None for the model that comes with edge-ecg.
    section:
        What the configuration says.
    step:
        Told before each step what it is: a step on a slow card takes seconds, and systemd waits.

    Raises
    ------
    BundleError
        When the bundle is damaged, foreign, too new or not signed as this machine demands; when the baseline
        belongs to another model.
    GateError
        When the model does not compute here what it should.
    UsageError
        When no package here runs the engine.
    DataError
        When the baseline cannot be read.

    """
    step(f"Loading the model {bundle or 'of this edge-ecg'}.")
    model = load_model(bundle, section.engine)
    check_preprocessing(model)
    step(f"Testing {model.name_at_sha} in {model.engine}.")
    agreement = check_engine(model, Golden.from_bundle(model.bundle))
    if not agreement.passed:
        raise GateError(
            f"{model.name_at_sha} does not compute the right thing in {model.engine} here.",
            why=f"Of its {agreement.windows} golden windows the lowest cosine is {agreement.min_cosine:.5f}; "
            f"decisions {'equal' if agreement.decisions_equal else 'differ'}.",
            remedy="Look with `edge-ecg bench`; another engine can be chosen as model.engine.",
        )
    profile = None
    if section.profile is not None:
        step("Reading the personal baseline.")
        profile = load_profile(section.profile)
        profile.require_fit(model, section.notch_hz or model.manifest.input.preprocessing.notch_hz)
    return Engine(model, profile)
