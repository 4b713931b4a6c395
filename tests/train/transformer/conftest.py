"""A small network and small windows: beats of four people, faster and wider under "stress"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_ecg_train.device import Execution, Machine, prepare_machine
from edge_ecg_train.transformer.network import TransformerConfig


@dataclass
class Beats:
    windows: NDArray[np.float32]
    labels: NDArray[np.int64]
    subject: NDArray[np.str_]


@pytest.fixture(scope="session")
def beats() -> Beats:
    rng = np.random.default_rng(0)
    t = np.arange(2560) / 256
    windows, labels, subject = [], [], []
    for person in range(4):
        for number in range(6):
            stress = number % 2
            ecg = 0.01 * rng.standard_normal(2560)
            for beat in np.arange(rng.uniform(0, 0.8), 10.5, 60 / (62 + 3 * person + 30 * stress)):
                ecg += 6 * np.exp(-0.5 * ((t - beat) / (0.012 + 0.01 * stress)) ** 2)
            windows.append(ecg - ecg.mean())
            labels.append(stress)
            subject.append(f"p{person}")
    return Beats(np.array(windows, np.float32), np.array(labels), np.array(subject))


@pytest.fixture(scope="session")
def tiny() -> TransformerConfig:
    return TransformerConfig(
        taps=(9, 5), channels=(8, 16), strides=(4, 4), layers=1, heads=2, feedforward=16, dropout=0.1
    )


@pytest.fixture(scope="session")
def cpu() -> Machine:
    return prepare_machine(Execution("cpu", "fp32", 1))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Thread start-up would cost more than these tiny networks gain."""
    torch.set_num_threads(1)
