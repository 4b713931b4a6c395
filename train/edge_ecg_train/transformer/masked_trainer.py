"""One step of masked pretraining after another, and the state to go on from."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..device import Machine
from ..sampling import Rows, batch_rows, step_seed
from ..sharded import Windows
from .masks import draw_masks, interpolated
from .network import TransformerConfig, TransformerNetwork
from .resume import refuse_other_run

if TYPE_CHECKING:
    from .masked import MaskedConfig

_EVALUATION_STREAM = 2**40
"""The step number that stands for evaluation when masks are drawn; no run gets there."""


class MaskedNetwork(nn.Module):
    """The encoder, and a small network that draws each token's samples: (n, 1280) to (n, 1280)."""

    def __init__(self, config: TransformerConfig, hidden: int) -> None:
        super().__init__()
        self.encoder = TransformerNetwork(config)
        self.head = nn.Sequential(
            nn.Linear(config.width, hidden), nn.ReLU(), nn.Linear(hidden, config.stride)
        )

    def forward(self, masked: Tensor) -> Tensor:
        """Draw all samples of ECG at 128 Hz whose masked ones are zero."""
        samples: Tensor = self.head(self.encoder.tokens(masked)[:, 1:])
        return samples.flatten(1)


class MaskedTrainer:
    """The network, its optimiser and its place in the sequence of steps."""

    def __init__(
        self,
        windows: Windows,
        training: Rows,
        held_out: Rows,
        config: MaskedConfig,
        machine: Machine,
    ) -> None:
        self.windows, self.training, self.config, self.machine = windows, training, config, machine
        count = min(config.evaluation_windows, len(held_out))
        self.held_out = np.sort(np.random.default_rng([config.seed, 3]).permutation(held_out)[:count])
        torch.manual_seed(config.seed)
        self.network = MaskedNetwork(config.network, config.head_hidden).to(machine.device)
        groups = decayed_kernels(self.network, config.weight_decay)
        self.optimiser = torch.optim.Adam(groups, lr=config.learning_rate, eps=1e-8, fused=True)
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []

    def advance(self) -> float:
        """Make one step; return the mean squared error of the batch's masked samples."""
        rows = batch_rows(self.training, self.step, self.config.batch_windows, self.config.seed)
        ecg, masks = self._batch(rows, self.step)
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        count = masks.sum().clamp(min=1)
        total = torch.zeros((), device=self.machine.device)
        size = self.config.network.windows_at_once(self.machine.micro_batch_signals)
        for part, mask in zip(torch.split(ecg, size), torch.split(masks, size), strict=True):
            loss = self._squared_error(part, mask) / count
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        self.optimiser.step()
        self.step += 1
        return float(total)

    def rate(self, step: int) -> float:
        """Return a step's learning rate."""
        return self.config.rate(step)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Measure on the windows held out, always masked alike.

        ``explained`` is the share of the masked samples' power that the network explains, and
        ``explained_by_lines`` what straight lines across the masked stretches do: the least to beat.
        """
        if not len(self.held_out):
            return {}
        ecg, masks = self._batch(self.held_out, _EVALUATION_STREAM)
        self.network.eval()
        size = self.config.network.windows_at_once(self.machine.micro_batch_signals)
        parts = zip(torch.split(ecg, size), torch.split(masks, size), strict=True)
        error = sum(float(self._squared_error(part, mask)) for part, mask in parts)
        power = float(ecg[masks].square().sum())
        lines = interpolated(ecg.cpu().numpy(), masks.cpu().numpy())
        lines_error = float(((lines - ecg.cpu().numpy()) ** 2).sum())
        measured = {
            "step": self.step,
            "loss": error / int(masks.sum()),
            "explained": round(1 - error / power, 4),
            "explained_by_lines": round(1 - lines_error / power, 4),
        }
        self.history.append(measured)
        return measured

    def state(self) -> dict[str, Any]:
        """Return all that ``restore`` needs, in tensors and plain values."""
        return {
            "config": asdict(self.config),
            "training": torch.from_numpy(self.training),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises
        ------
        DataError
            If it belongs to another experiment.

        """
        refuse_other_run(state, asdict(self.config), self.training, {"evaluate_every"})
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]

    def _batch(self, rows: Rows, stream: int) -> tuple[Tensor, Tensor]:
        """Return ECG at 128 Hz (n, 1280) and its masks; what is random in a step is seeded here."""
        device, config = self.machine.device, self.config
        seed = step_seed(config.seed, stream)
        torch.manual_seed(seed)
        windows = torch.from_numpy(np.asarray(self.windows[rows], np.float32)).to(device)
        generator = torch.Generator(device).manual_seed(seed)
        masks = draw_masks(len(rows), config.span_probability, config.span_samples, generator)
        with torch.no_grad():
            return self.network.encoder.decimate(windows), masks

    def _squared_error(self, ecg: Tensor, mask: Tensor) -> Tensor:
        with self.machine.autocast():
            drawn = self.network(ecg.masked_fill(mask, 0.0))
        squared: Tensor = (drawn.float() - ecg)[mask].square().sum()
        return squared


def decayed_kernels(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters for Adam: kernels decay; biases, norms and the CLS token do not."""
    kernels = [one for one in network.parameters() if one.ndim > 1]
    others = [one for one in network.parameters() if one.ndim == 1]
    return [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
