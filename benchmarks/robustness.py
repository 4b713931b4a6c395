"""What a swapped electrode and electrode noise do to the frozen encoder, and what training with them mends.

    python benchmarks/robustness.py --store stores/eegmat --noise DATA/noise-bw-em-ma

AUC of a linear head (C = 0.01) on differences from 60 s of rest, leave one person out, with the bundled
encoder in its int8 engine. Noise is baseline wander, electrode motion or muscle artefact of the MIT-BIH Noise
Stress Test Database, added to normalised windows at a signal-to-noise ratio; windows at rest get it, too. The
quality check, which would refuse many of the noisiest windows, is left out. The bundled encoder was
pretrained with these very clips, and the noisy head is trained with them: what is found here flatters.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edge_ecg
from edge_ecg_train.augment import read_clips
from edge_ecg_train.evaluation.baseline import PersonalBaseline, find_baseline
from edge_ecg_train.store import WindowStore

Windows = NDArray[np.float32]

RATIOS_DB = (12.0, 6.0)
SEED = 0


def add_noise(windows: Windows, clips: Sequence[NDArray[np.float64]], ratio_db: float) -> Windows:
    rng = np.random.default_rng(SEED)
    noisy = np.empty_like(windows)
    for row, window in zip(noisy, windows, strict=True):
        clip = clips[rng.integers(len(clips))]
        first = rng.integers(len(clip) - len(window))
        noise = clip[first : first + len(window)]
        # What the chain's high-pass would take away: everything slower than about a second.
        noise = noise - np.convolve(noise, np.ones(321) / 321, "same")
        row[:] = window + noise / noise.std() * window.std() / 10 ** (ratio_db / 20)
    return noisy


def auc(
    train: Sequence[Windows],
    test: Windows,
    labels: NDArray[np.int64],
    subject: NDArray[np.str_],
    rest: PersonalBaseline,
) -> float:
    """Train on all variants of the other people's embeddings, test on one of the person's."""
    given = [rest.apply(embeddings) for embeddings in train]
    asked = rest.apply(test)
    scores = np.full(len(labels), np.nan)
    for person in rest.people:
        fitted, tested = rest.scored & (subject != person), rest.scored & (subject == person)
        head = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
        )
        head.fit(np.vstack([one[fitted] for one in given]), np.tile(labels[fitted], len(given)))
        scores[tested] = head.decision_function(asked[tested])
    return float(roc_auc_score(labels[rest.scored], scores[rest.scored]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True, help="eegmat, prepared with --hop 5")
    parser.add_argument("--noise", type=Path, required=True, help="the folder of BW.mat, EM.mat, MA.mat")
    args = parser.parse_args()
    store, model = WindowStore.open(args.store), edge_ecg.load_model()
    labels = store.label("stress")
    rest = find_baseline(store.subject, labels, store.start_s, 60.0)
    windows = np.array(store.windows)
    clips = read_clips(args.noise)
    clean, negated = model.embed(windows), model.embed(-windows)
    noisy = {ratio: model.embed(add_noise(windows, clips, ratio)) for ratio in RATIOS_DB}
    tests = {"clean": clean, "lead negated": negated}
    tests |= {f"noise, {ratio:g} dB": embeddings for ratio, embeddings in noisy.items()}
    trainings = {
        "clean": [clean],
        "clean and negated": [clean, negated],
        "clean and noisy": [clean, *noisy.values()],
    }
    print(
        f"{model.name_at_sha}, {model.engine}, {int(rest.scored.sum())} windows of {len(rest.people)} people"
    )
    print(f"{'trained on':20}" + "".join(f"{name:>16}" for name in tests))
    for name, train in trainings.items():
        values = (auc(train, test, labels, store.subject, rest) for test in tests.values())
        print(f"{name:20}" + "".join(f"{value:16.3f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
