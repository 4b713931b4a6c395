"""The loop, the run's folder, atomic files and the choice of device."""

from __future__ import annotations

import errno
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.checkpoint import write_atomically
from edge_ecg_train.device import Execution, prepare_machine
from edge_ecg_train.loop import InterruptedAndSaved, Session, train
from edge_ecg_train.run_dir import RunDir


class Counter:
    """A training that counts; ``at`` maps a step to what happens during it."""

    def __init__(self, at: dict[int, object] | None = None) -> None:
        self.step = 0
        self.seconds = 0.0
        self.saved: list[int] = []
        self.evaluated: list[int] = []
        self.at = at or {}

    def advance(self) -> float:
        self.step += 1
        happening = self.at.get(self.step)
        if callable(happening):
            happening()
        return 1.0 / self.step

    def evaluate(self) -> dict[str, float]:
        self.evaluated.append(self.step)
        return {"step": self.step, "loss": 0.5}

    def rate(self, step: int) -> float:
        return 0.1

    def save(self) -> None:
        self.saved.append(self.step)


def go(counter: Counter, steps: int, tmp_path: Path, session: Session, every: int = 0) -> None:
    train(counter, steps, counter.save, session, evaluate_every=every, curves_in=tmp_path)


def minutes(step: float = 1.0):
    now = [-60.0 * step]

    def clock() -> float:
        now[0] += 60.0 * step
        return now[0]

    return clock


def test_saves_at_intervals_and_at_the_end(tmp_path):
    counter = Counter()
    go(counter, 10, tmp_path, Session(checkpoint_minutes=4, clock=minutes()))
    assert counter.saved == [4, 8, 10]
    assert counter.seconds == 600


def test_stops_in_time(tmp_path):
    counter = Counter()
    go(counter, 100, tmp_path, Session(max_minutes=7, checkpoint_minutes=1000, clock=minutes()))
    assert counter.step == 7
    assert counter.saved == [7]


def test_evaluates_at_intervals_and_at_the_end(tmp_path):
    seen = []
    counter = Counter()
    go(counter, 10, tmp_path, Session(observe=seen.append, clock=minutes()), every=4)
    assert counter.evaluated == [4, 8, 10]
    assert [one.step for one in seen] == list(range(1, 11))
    assert [one.step for one in seen if one.evaluation] == [4, 8, 10]
    assert seen[4].steps_per_s == pytest.approx(1 / 60)
    assert seen[4].eta_s == pytest.approx(300)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_finishes_the_step_and_saves(tmp_path, number):
    before = signal.getsignal(number)
    counter = Counter({3: lambda: os.kill(os.getpid(), number)})
    with pytest.raises(InterruptedAndSaved):
        go(counter, 10, tmp_path, Session())
    assert counter.step == 3
    assert counter.saved == [3]
    assert signal.getsignal(number) is before


def test_second_interrupt_ends_at_once(tmp_path):
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    counter = Counter({3: twice})
    with pytest.raises(KeyboardInterrupt) as caught:
        go(counter, 10, tmp_path, Session())
    assert not isinstance(caught.value, InterruptedAndSaved)
    assert counter.saved == []


def test_works_outside_the_main_thread(tmp_path):
    counter = Counter()
    worker = threading.Thread(target=go, args=(counter, 3, tmp_path, Session()))
    worker.start()
    worker.join()
    assert counter.saved == [3]


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match=r"cannot be written. No space left on device.*--resume"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]  # half a file would only take room
    write_atomically(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


def test_curves_that_find_no_room_are_a_sentence(tmp_path, monkeypatch):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")

    class Full:
        def __init__(self, *_: object, **__: object) -> None: ...

        def add_scalar(self, *_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None: ...

    monkeypatch.setattr(tensorboard, "SummaryWriter", Full)
    with pytest.raises(DataError, match=r"curves in .* cannot be written. No space left"):
        train(Counter(), 3, lambda: None, Session(), evaluate_every=0, curves_in=tmp_path)


def test_run_json_keeps_what_it_is_not_told(tmp_path):
    run = RunDir(tmp_path / "a" / "stress")
    run.create()
    run.update_json(pretext={"steps": 3})
    run.update_json(tasks={"stress": {}})
    assert run.read_json() == {"name": "stress", "pretext": {"steps": 3}, "tasks": {"stress": {}}}


@pytest.mark.parametrize("content", [None, "", "[1]", "{", '{"tasks": []}', '{"emotion": 3}'])
def test_what_is_no_run_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError):
        RunDir(tmp_path).read_json()


def test_run_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        RunDir(tmp_path / "file" / "run").create()


@pytest.mark.parametrize("execution", [Execution(device="gpu"), Execution(device="cpu", precision="fp8")])
def test_impossible_machine_is_refused(execution):
    with pytest.raises(UsageError):
        prepare_machine(execution)


def test_explicit_choices_are_kept():
    machine = prepare_machine(Execution("cpu", "bf16", micro_batch_signals=7))
    assert (machine.device.type, machine.precision, machine.micro_batch_signals) == ("cpu", "bf16", 7)


def test_denormals_are_flushed_within_training_only(tmp_path):
    tiny = np.float32(1e-40)
    seen = []
    counter = Counter({1: lambda: seen.append(float(torch.tensor([1e-40]).mul(1.0))), 2: lambda: 1 / 0})
    with pytest.raises(ZeroDivisionError):
        go(counter, 10, tmp_path, Session())
    assert seen == [0.0]
    assert tiny * np.float32(1.0) != 0
