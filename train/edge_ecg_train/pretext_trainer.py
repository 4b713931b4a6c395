"""One step of the pretext task after another, and the state to go on from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn.parallel import DistributedDataParallel

from edge_ecg.errors import DataError

from .augment import augment, read_noise
from .device import Machine
from .losses import pretext_loss
from .networks import PretextNetwork, parameter_groups
from .sampling import Rows, batch_rows, step_seed
from .sharded import ReadAhead, Windows
from .team import ALONE, Team
from .transforms import VERSIONS, make_versions

if TYPE_CHECKING:
    from .pretext import PretextConfig

_EVALUATION_STREAM = 2**40
"""The step number that stands for evaluation when randomness is drawn; no run gets there."""


class PretextTrainer:
    """The network, its optimiser and its place in the sequence of steps.

    A batch consists of ``config.shards`` parts, each with its own randomness. The processes of a team take
    turns at them, so that any number of processes that divides it makes the same step, up to the order of
    sums.
    """

    def __init__(
        self,
        windows: Windows,
        training: Rows,
        held_out: Rows,
        config: PretextConfig,
        machine: Machine,
        team: Team = ALONE,
    ) -> None:
        self.windows, self.training, self.config, self.machine = windows, training, config, machine
        self.team = team
        count = min(config.evaluation_windows, len(held_out))
        self.held_out = np.sort(np.random.default_rng([config.seed, 3]).permutation(held_out)[:count])
        torch.manual_seed(config.seed)
        self.network = PretextNetwork(config.dropout, config.trunk).to(machine.device)
        # Compiled inside, shared outside: 2 MB of gradients need not be sent before the last is computed.
        self._parallel = machine.compiled(self.network)
        if team.size > 1:
            ids = [machine.device.index] if machine.device.type == "cuda" else None
            self._parallel = DistributedDataParallel(self._parallel, device_ids=ids)
        self._ahead = ReadAhead(self._read)
        self._clips = None
        if config.augment.noise:
            self._clips = torch.from_numpy(read_noise(config.augment.noise)).to(machine.device)
        groups = parameter_groups(self.network, config.l2)
        self.optimiser = torch.optim.Adam(groups, lr=config.learning_rate, eps=1e-8, fused=True)
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []

    def advance(self) -> float:
        """Make one step; return the batch's loss."""
        config = self.config
        windows = self._ahead.take(self.step)
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        signals_in_batch = config.batch_windows * config.versions
        total = torch.zeros((), device=self.machine.device)
        shards = self._my_shards()
        for shard, part_of_batch in zip(shards, np.array_split(windows, len(shards)), strict=True):
            stream = (self.step,) if config.shards == 1 else (self.step, shard)
            parts = list(self._parts(*self._training_signals(part_of_batch, stream)))
            for part, labels in parts:
                is_last = shard == shards[-1] and part is parts[-1][0]
                with self._sums_later(not is_last):
                    with self.machine.autocast():
                        logits = self._parallel(part)
                    # Processes' gradients are averaged; parts of a batch have to be summed.
                    loss = pretext_loss(logits.float(), labels, signals_in_batch)
                    (loss * self.team.size).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        self.optimiser.step()
        self.step += 1
        return self.team.total(total)

    def close(self) -> None:
        """End the reading ahead."""
        self._ahead.close()

    def rate(self, step: int) -> float:
        """Return a step's learning rate."""
        return self.config.rate(step)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Measure each recogniser on the held-out windows, in all their versions; always the same ones."""
        if not len(self.held_out):
            return {}
        windows = np.asarray(self.windows[self.held_out], np.float32)
        batch, generator, _ = self._batch(windows, (_EVALUATION_STREAM,))
        signals, labels = make_versions(batch, len(VERSIONS), generator, self.config.transforms)
        self.network.eval()
        logits = []
        for part, _ in self._parts(signals, labels):
            with self.machine.autocast():
                logits.append(self.network(part).float())
        joined = torch.cat(logits)
        measured = {"step": self.step, "loss": float(pretext_loss(joined, labels)), **scores(joined, labels)}
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
            If it belongs to another experiment; only ``steps`` and the evaluation may have changed.

        """
        free = {"steps", "cooldown_steps", "evaluate_every", "keep_steps"}
        mine, theirs = asdict(self.config), state["config"]
        changed = sorted(key for key in mine if key not in free and mine[key] != theirs.get(key))
        if changed:
            raise DataError(
                "The checkpoint was trained with other settings.",
                why=", ".join(f"{key} was {theirs.get(key)}, is {mine[key]}" for key in changed) + ".",
                remedy="Resume with the same recipe, or start a new run in another folder.",
            )
        if not np.array_equal(state["training"].numpy(), self.training):
            raise DataError(
                "The checkpoint was trained on other windows.",
                remedy="Resume with the same store, or start a new run in another folder.",
            )
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]

    def _my_shards(self) -> list[int]:
        return list(range(self.team.rank, self.config.shards, self.team.size))

    def _read(self, step: int) -> NDArray[np.float32]:
        """Read this process's windows of a step, one shard after the other."""
        config = self.config
        rows = batch_rows(self.training, step, config.batch_windows, config.seed, config.shuffle)
        mine = np.concatenate([rows[shard :: config.shards] for shard in self._my_shards()])
        return np.asarray(self.windows[mine], np.float32)

    def _training_signals(
        self, windows: NDArray[np.float32], stream: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        config = self.config
        batch, generator, seed = self._batch(windows, stream)
        batch = augment(batch, config.augment, self._clips, generator)
        signals, labels = make_versions(batch, config.versions, generator, config.transforms.drawn(seed))
        if self.machine.micro_batch_signals < len(signals):
            # The signals come grouped by label: parts get a mixture, as batches of any size should.
            order = torch.randperm(len(signals), device=signals.device)
            signals, labels = signals[order], labels[order]
        return signals, labels

    def _batch(self, windows: NDArray[np.float32], stream: tuple[int, ...]) -> tuple[Tensor, Generator, int]:
        """Return windows on the device, and the source of all that is random in this part of a step."""
        device = self.machine.device
        seed = step_seed(self.config.seed, *stream)
        torch.manual_seed(seed)
        return torch.from_numpy(windows).to(device), torch.Generator(device).manual_seed(seed), seed

    def _sums_later(self, later: bool) -> contextlib.AbstractContextManager[object]:
        """Return the context in which gradients stay with this process until the batch's last part."""
        if later and isinstance(self._parallel, DistributedDataParallel):
            return self._parallel.no_sync()
        return contextlib.nullcontext()

    def _parts(self, signals: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.machine.micro_batch_signals
        return zip(torch.split(signals, size), torch.split(labels, size), strict=True)


def scores(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """Per recogniser: accuracy (0.857 for always "no") and balanced accuracy (0.5 for chance)."""
    said = logits > 0
    accuracy, balanced = {}, {}
    for index, name in enumerate(VERSIONS):
        true = labels == index
        right = said[:, index] == true
        accuracy[name] = round(float(right.float().mean()), 4)
        sensitivity, specificity = right[true].float().mean(), right[~true].float().mean()
        balanced[name] = round(float((sensitivity + specificity) / 2), 4)
    return {"accuracy": accuracy, "balanced_accuracy": balanced}
