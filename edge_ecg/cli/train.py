"""``edge-ecg train``: an encoder by the pretext task, heads on it, or both at once with labels."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_DONE, EXIT_INTERRUPTED, UsageError
from .progress import Progress

if TYPE_CHECKING:
    from edge_ecg_train.device import Execution
    from edge_ecg_train.loop import Progress as Step
    from edge_ecg_train.recipe import Recipe


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the sub-verbs and their arguments."""
    verbs = parser.add_subparsers(
        dest="train_verb", metavar="pretext|emotion|supervised (baseline)", required=True
    )

    sub = verbs.add_parser(
        "pretext",
        help="an encoder from unlabelled windows: which transformation was it, or (a recipe with [masked]) "
        "what was masked?",
    )
    sub.add_argument(
        "store",
        type=Path,
        nargs="+",
        metavar="STORE",
        help="windows, from `edge-ecg data prepare`; several are shards of one",
    )
    sub.add_argument(
        "--devices",
        type=int,
        default=1,
        metavar="N",
        help="so many processes on this machine, one a GPU (on several machines: torchrun, docs/scale.md)",
    )
    sub.add_argument(
        "--compile",
        action="store_true",
        help="compile the network first (torch.compile): a minute at the start, faster steps on a GPU",
    )
    _add_long_run(sub)

    sub = verbs.add_parser("emotion", help="heads on a run's frozen encoder, from labelled windows")
    sub.add_argument("run", type=Path, metavar="RUN", help="a run of `edge-ecg train pretext`")
    sub.add_argument("store", type=Path, metavar="STORE", help="labelled windows")
    sub.add_argument(
        "--task", action="append", metavar="TASK", help="may be repeated (default: all that the store has)"
    )
    _add_common(sub)

    sub = verbs.add_parser(
        "supervised",
        aliases=["baseline"],
        help="the baseline without pretraining: encoder and head from labels",
    )
    sub.add_argument("store", type=Path, metavar="STORE", help="labelled windows")
    sub.add_argument("--task", metavar="TASK", help="needed where the store has several")
    sub.add_argument(
        "--start",
        type=Path,
        metavar="RUN",
        help="fine-tune this run's pretrained Transformer (a recipe with [finetune])",
    )
    _add_long_run(sub)


def _add_long_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="RUN", help="the run to write (a folder)"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the folder's checkpoint")
    parser.add_argument("--max-minutes", type=_positive, metavar="MIN", help="stop then, ready to be resumed")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--recipe", default="quick", metavar="NAME|FILE", help="a built-in one or a TOML file (default quick)"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (default: a GPU if there is one)")
    parser.add_argument(
        "--precision", default="auto", help="fp32, bf16 (mixed), or auto: bf16 where that is native"
    )
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="CPU threads (default: all cores)"
    )


def run(args: argparse.Namespace) -> int:
    """Do the sub-verb and return the exit code."""
    from edge_ecg_train.device import Execution
    from edge_ecg_train.recipe import load_recipe

    recipe = load_recipe(args.recipe)
    if args.threads < 0:
        raise UsageError(f"--threads cannot be {args.threads}.", remedy="Leave it out to use all cores.")
    execution = Execution(args.device, args.precision, args.threads, compile=getattr(args, "compile", False))
    if args.train_verb == "baseline":
        args.train_verb = "supervised"
    stages = {"pretext": _pretext, "emotion": _emotion, "supervised": _supervised}
    return stages[args.train_verb](args, recipe, execution)


def _pretext(args: argparse.Namespace, recipe: Recipe, execution: Execution) -> int:
    from edge_ecg_train.pretext import PretextConfig, run_pretext
    from edge_ecg_train.sharded import open_shards
    from edge_ecg_train.team import join_team
    from edge_ecg_train.transformer.masked import run_masked

    if recipe.pretext is None:
        raise _no_stage(recipe, "pretext")
    config = recipe.pretext
    if args.devices < 1:
        raise UsageError(f"--devices cannot be {args.devices}.", remedy="Leave it out for one process.")
    if args.devices > 1:
        return _launch(args.devices)
    windows, subject, stores = open_shards(args.store)
    facts = {
        "recipe": recipe.name,
        "store": ", ".join(str(store.path.resolve()) for store in stores),
        "datasets": [entry for store in stores for entry in store.info["datasets"]],
        "preprocessing": dict(stores[0].preprocessing),
        "preprocessing_hash": stores[0].preprocessing_hash,
    }
    with join_team(execution) as (team, mine):

        def work(observe: Callable[[Step], None]) -> dict[str, Any]:
            settings: dict[str, Any] = {
                "execution": mine, "session": _session(args, observe), "resume": args.resume, "facts": facts,
            }  # fmt: skip
            if isinstance(config, PretextConfig):
                return run_pretext(windows, subject, config, args.output, team=team, **settings)
            if args.compile:
                raise UsageError("Masked pretraining is not compiled.", remedy="Leave --compile out.")
            if team.size > 1:
                raise UsageError("Masked pretraining runs in one process.", remedy="Leave --devices out.")
            return run_masked(windows, subject, config, args.output, **settings)

        return _long_run(args, work, leads=team.leads)


def _launch(processes: int) -> int:
    """Start the same command once for each device of this machine."""
    from edge_ecg_train.team import launch_team

    words = sys.argv[1:]
    for index, word in enumerate(words):
        if word == "--devices":
            del words[index : index + 2]
            break
        if word.startswith("--devices="):
            del words[index]
            break
    return launch_team(processes, words)


def _supervised(args: argparse.Namespace, recipe: Recipe, execution: Execution) -> int:
    from edge_ecg_train.store import WindowStore
    from edge_ecg_train.supervised import run_supervised

    if recipe.finetune is not None:
        return _finetune(args, recipe, execution)
    if recipe.supervised is None:
        raise _no_stage(recipe, "supervised")
    if args.start is not None:
        raise UsageError(
            f"The recipe {recipe.name} has no [finetune], so there is nothing to start from {args.start}.",
            remedy="Choose a Transformer's recipe, or leave --start out.",
        )
    config = recipe.supervised
    store = WindowStore.open(args.store)
    task = args.task or _only_task(list(store.tasks), args.store)

    def work(observe: Callable[[Step], None]) -> dict[str, Any]:
        return run_supervised(
            store,
            task,
            config,
            args.output,
            execution=execution,
            session=_session(args, observe),
            resume=args.resume,
        )

    return _long_run(args, work)


def _finetune(args: argparse.Namespace, recipe: Recipe, execution: Execution) -> int:
    from edge_ecg_train.run_dir import RunDir
    from edge_ecg_train.store import WindowStore
    from edge_ecg_train.transformer.finetune_run import run_finetune
    from edge_ecg_train.transformer.network import FULL

    config = recipe.finetune
    assert config is not None, "the caller has looked"
    store = WindowStore.open(args.store)
    task = args.task or _only_task(list(store.tasks), args.store)

    def work(observe: Callable[[Step], None]) -> dict[str, Any]:
        return run_finetune(
            store,
            task,
            config,
            args.output,
            start=None if args.start is None else RunDir(args.start),
            network=recipe.transformer or FULL,
            execution=execution,
            session=_session(args, observe),
            resume=args.resume,
        )

    return _long_run(args, work)


def _emotion(args: argparse.Namespace, recipe: Recipe, execution: Execution) -> int:
    from edge_ecg_train.emotion import train_emotion
    from edge_ecg_train.store import WindowStore

    store = WindowStore.open(args.store)
    tasks = args.task or list(store.tasks)
    if not tasks:
        raise UsageError(
            f"{args.store} has no labels, so there is no task to train a head for.",
            remedy="Prepare a data set that has labels (edge-ecg data list).",
        )
    heads = {task: recipe.head_of(task) for task in dict.fromkeys(tasks)}
    bar = Progress(len(store), "windows")
    entry = train_emotion(args.run, store, heads, execution=execution, on_windows=bar.advance)
    if bar.done:  # else the embeddings were there already
        bar.__exit__(None, None, None)
    for task in heads:
        trained = entry[task]
        if args.json:
            print(json.dumps({"type": "head", "task": task, "run": str(args.run), **trained}))
            continue
        counts = ", ".join(f"{count} {name}" for name, count in trained["windows"].items())
        print(f"{task}: {args.run / 'heads' / task}.npz from {counts} windows of {trained['people']} people")
    if not args.json:
        print(f"Next: edge-ecg evaluate {args.run} {args.store}", file=sys.stderr)
    return EXIT_DONE


def _long_run(
    args: argparse.Namespace,
    work: Callable[[Callable[[Step], None]], dict[str, Any]],
    *,
    leads: bool = True,
) -> int:
    """Run with progress on stderr; say what was reached, and how to go on from where it stopped."""
    from edge_ecg_train.loop import InterruptedAndSaved

    bar = Progress(None, "steps")

    def observe(step: Step) -> None:
        if bar.total is None:
            bar.total = step.steps
            bar.resume_at(step.step - 1)
        bar.advance(note=f"loss {step.loss:.4f}")
        if step.evaluation:
            _say(f"step {step.step}, people held out: {_scores(step.evaluation)}")

    try:
        entry = work(observe)
    except InterruptedAndSaved:
        if leads:
            _say(f"stopped and saved. {_go_on(args)}")
        return EXIT_INTERRUPTED
    finally:
        if bar.done:
            bar.__exit__(None, None, None)
    if not leads:
        return EXIT_DONE
    if args.json:
        print(json.dumps({"type": "run", "path": str(args.output), "stage": args.train_verb, **entry}))
    else:
        state = "done" if entry["finished"] else "not finished"
        print(
            f"{args.output}: {state}, {entry['steps']} steps on {entry['windows']} windows of "
            f"{entry['people']} people in {entry['minutes']:.1f} minutes ({entry['precision']})"
        )
    if not entry["finished"]:
        print(_go_on(args), file=sys.stderr)
    return EXIT_DONE


def _say(text: str) -> None:
    """Print on stderr, below the line that the progress rewrites on a terminal."""
    print(f"\n{text}" if sys.stderr.isatty() else text, file=sys.stderr, flush=True)


def _session(args: argparse.Namespace, observe: Callable[[Step], None]) -> Any:
    from edge_ecg_train.loop import Session

    return Session(max_minutes=args.max_minutes, observe=observe)


def _scores(evaluation: dict[str, Any]) -> str:
    """Balanced accuracies, one for each recogniser or just one; or how much of what was masked is drawn."""
    if "explained" in evaluation:
        return (
            f"{evaluation['explained']:.1%} of the masked samples' power explained "
            f"(straight lines: {evaluation['explained_by_lines']:.1%})"
        )
    balanced = evaluation["balanced_accuracy"]
    if isinstance(balanced, dict):
        return "balanced accuracy " + ", ".join(f"{name} {value:.2f}" for name, value in balanced.items())
    return f"balanced accuracy {balanced:.2f}"


def _go_on(args: argparse.Namespace) -> str:
    stores = args.store if isinstance(args.store, list) else [args.store]
    words = ["edge-ecg", "train", args.train_verb, *map(str, stores), "-o", str(args.output)]
    if args.train_verb == "supervised" and args.task:
        words += ["--task", args.task]
    if args.train_verb == "supervised" and args.start is not None:
        words += ["--start", str(args.start)]
    words += ["--recipe", args.recipe]
    # Another precision, device or compiler would go on to other weights than the run that was stopped.
    for name, value, default in (
        ("--device", args.device, "auto"), ("--precision", args.precision, "auto"),
        ("--threads", args.threads, 0), ("--devices", _processes_here(), 1),
    ):  # fmt: skip
        if value != default:
            words += [name, str(value)]
    words += ["--compile"] if getattr(args, "compile", False) else []
    return f"Go on with: {shlex.join([*words, '--resume'])}"


def _processes_here() -> int:
    """How many processes train together, where all of them are on this machine; else 1."""
    here, everywhere = (os.environ.get(name, "1") for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return int(here) if here == everywhere else 1


def _only_task(tasks: list[str], store: Path) -> str:
    if len(tasks) != 1:
        raise UsageError(
            f"{store} has labels for {len(tasks)} tasks.",
            why=f"They are: {', '.join(tasks)}." if tasks else "",
            remedy="Say which one with --task." if tasks else "Prepare a data set that has labels.",
        )
    return tasks[0]


def _no_stage(recipe: Recipe, stage: str) -> UsageError:
    return UsageError(
        f"The recipe {recipe.name} has no [{stage}].",
        remedy="Add it, or choose another one with --recipe.",
    )


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value
