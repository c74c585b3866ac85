"""The composition root of training: runs a training from command to end, or estimates what it would take."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from translate.errors import ConfigurationError, command
from translate.recipe import Recipe, load_recipe
from translate.recipe.plugins import load_plugins
from translate.reporting.report import write_report
from translate.reporting.tracking import choose_trackers, left_to_do
from translate.runs.best_by import gave_up
from translate.runs.folder import choose_folder, claimed, on_data_of
from translate.runs.initial_weights import begin_model
from translate.runs.setup import Launch, assemble, glanced_at, start
from translate.runs.small_files import write_summary
from translate.training.checkpoint import folder_name, pointed
from translate.training.distributed import Distributed, join
from translate.training.estimate import Estimate, estimate, process_memory
from translate.training.loop import TrainingRun
from translate.training.runtime import Runtime, choose_runtime, use_deterministic_kernels
from translate.training.schedules import ONLY_OF
from translate.utils.deprecated import takes_old_names
from translate.utils.printing import say
from translate.utils.signals import Interrupted, Signals, Stop, requeue
from translate.utils.yaml_reader import read_yaml_value


@takes_old_names(levers="options")
def train(
    recipe: Recipe | str | Path,
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    change_schedule: bool = False,
    device: str = "auto",
    options: str = "auto",
    deterministic: bool = False,
    tracking: str | Sequence[str] = "auto",
    artifact: bool = False,
    overrides: Iterable[str] = (),
    plugin: str | Path | Iterable[str | Path] | None = None,
    quiet: bool = False,
) -> Path:
    """Trains `recipe` (a Recipe, a shipped recipe's name, or a YAML file) on `data` (a name or a folder).

    Returns the run's folder: recipe.yaml, metrics.jsonl, samples/, report.html and checkpoints/. With `resume`,
    continues from the newest good checkpoint there, on `data` wherever it lies now; with `change_schedule` too, at the
    learning rates of `recipe`, which may be others than before. `options`: see `choose_runtime`;
    `deterministic`: see `use_deterministic_kernels`; `tracking`: see `choose_trackers`; `plugin`: Python files that add
    a method, a network, ... (see `load_plugin`). Of the processes started by torchrun, only the first writes.

    Raises ConfigurationError, before writing anything, if recipe, data or device do not fit or another process trains
    into the folder; TranslateError if the run fails; and Interrupted, after saving, on SIGINT, SIGTERM, SIGHUP or
    Slurm's SIGUSR1.
    """
    if change_schedule and not resume:
        raise ConfigurationError("--change-schedule is for a run that goes on: add --resume")
    if resume and out is None:
        _refuse_unclear(recipe)
    plugins = load_plugins(plugin)
    wanted, trackers = resolved(recipe, data, overrides), choose_trackers(tracking)
    if resume and out is not None:
        wanted = on_data_of(Path(out), wanted)
    if deterministic:
        use_deterministic_kernels()
    with Signals() as signals:
        try:
            with join(device) as distributed:
                quiet = quiet or not distributed.is_main
                runtime = _runtime(distributed, wanted, options)
                with _folder(out, wanted, resume, distributed) as folder:
                    launch = Launch(wanted, runtime, distributed, quiet, plugins, change_schedule)
                    run = start(launch, folder, resume=resume, signals=signals, tracking=trackers)
                    _go(run, folder, signals, artifact)
                    if run.stopped_early:
                        launch.log(gave_up(folder, run.trainer.steps, run.measuring.best))
                    return folder
        except Stop as stop:
            raise Interrupted(stop.number, "before a step was taken; there was nothing to save") from None
        except Interrupted as interruption:
            if interruption.requeue:
                say(requeue())
            raise


def _refuse_unclear(recipe: Recipe | str | Path) -> None:
    """A recipe in a run's folder may stand for that run, or for one that was started from the recipe."""
    if isinstance(recipe, Recipe) or Path(recipe).name != "recipe.yaml":
        return
    folder = Path(recipe).parent
    if (folder / "checkpoints").is_dir():
        raise ConfigurationError(
            f"--resume: which run? {command('train', recipe, '--out', folder, '--resume')} continues the run "
            f"in {folder}; to continue another one that was started from this recipe, give its --out"
        )


def _folder(
    out: str | Path | None, wanted: Recipe, resume: bool, distributed: Distributed
) -> AbstractContextManager[Path]:
    """The run's folder. The main process claims it once all have looked, so that all choose the same one."""
    looked = choose_folder(out, wanted, resume)
    distributed.wait()
    return claimed(out, wanted, resume) if distributed.is_main else nullcontext(looked)


def _runtime(distributed: Distributed, wanted: Recipe, options: str) -> Runtime:
    runtime = choose_runtime(distributed.device, wanted.training.precision, options)
    if runtime.cuda_graphs and distributed.size > 1:
        raise ConfigurationError(f"--runtime {options}: CUDA graphs are for one process; leave cuda-graphs out")
    return runtime


def _go(run: TrainingRun, folder: Path, signals: Signals, artifact: bool) -> None:
    """Trains, and closes the report and the tracker however the run ends."""
    code = 1
    with signals.noting(), run.progress:
        try:
            run.go()
            measured, runtime = run.measuring, run.trainer.runtime
            if run.trainer.distributed.is_main:
                write_summary(folder, measured.validations, measured.latest, runtime.precision)
                if artifact:
                    _track_checkpoints(run, folder)
            code = 0
        except Interrupted as interruption:
            code = interruption.exit_code
            raise
        finally:
            _close(run, folder, code)
        if signals.noted is not None:
            raise Interrupted(signals.noted, "after the last step; everything is saved")


def _track_checkpoints(run: TrainingRun, folder: Path) -> None:
    """Gives the tracker the best checkpoint and the last one, which may be the same, with what was measured there."""
    best, aliases = run.measuring.best, dict[int, list[str]]()
    for pointer in ("best", "latest"):  # the newer one last, for trackers that take the last one for the latest
        if (step := pointed(folder / "checkpoints", pointer)) is not None:
            aliases.setdefault(step, []).append(pointer)
    for step, names in aliases.items():
        at_best = {f"best/{key}": value for key, value in best.measured.items()} if step == best.step else {}
        facts = {"step": step, **(run.measuring.by_key() if step == run.trainer.steps else {}), **at_best}
        checkpoint = folder / "checkpoints" / folder_name(step)
        run.records.tracker.artifact(folder.name, checkpoint, [*names, f"step-{step}"], facts)


def _close(run: TrainingRun, folder: Path, code: int) -> None:
    """Writes the report and ends tracking. A failing report only warns, so as not to hide why the run ended."""
    try:
        if run.trainer.distributed.is_main:
            write_report(folder)
    except Exception as error:
        say(f"warning: {folder / 'report.html'}: could not be written ({error})")
    run.records.tracker.finish(code)


def say_left_to_do(tracking: str | Sequence[str], folders: Sequence[Path]) -> None:
    """Says what is still to be done with what trackers wrote of the runs in `folders`, which have ended."""
    for line in left_to_do(choose_trackers(tracking), folders):
        say(line)


def dry_run(
    recipe: Recipe | str | Path,
    data: str | Path | None = None,
    *,
    device: str = "auto",
    options: str = "auto",
    overrides: Iterable[str] = (),
    plugin: str | Path | Iterable[str | Path] | None = None,
    quiet: bool = False,
) -> Estimate:
    """Estimates what `train` would take on this machine, from at most some twenty real steps; writes no run folder."""
    memory = process_memory()
    load_plugins(plugin)
    wanted = resolved(recipe, data, overrides)
    training = wanted.training
    launch = Launch(wanted, choose_runtime(device, training.precision, options), Distributed(device), quiet)
    images, loader, _ = glanced_at(launch)
    trainer, total = assemble(launch, begin_model(wanted, images.spec, launch.log), loader)
    launch.log(f"{wanted.name}: taking some steps to measure, of {total:,}")
    with closing(loader.stream()) as batches:
        return estimate(trainer, batches, total, training.keep, memory, quiet=quiet)


def resolved(recipe: Recipe | str | Path, data: str | Path | None, overrides: Iterable[str]) -> Recipe:
    """The recipe with the command's overrides and data applied. Raises ConfigurationError."""
    overrides = [overrides] if isinstance(overrides, str) else list(overrides)
    if overrides and isinstance(recipe, Recipe):
        raise ConfigurationError("overrides need a recipe's name or file; for a Recipe, give them to load_recipe")
    wanted = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    _refuse_two_lengths(overrides)
    if data is not None:
        wanted = wanted.model_copy(update={"data": wanted.data.model_copy(update={"set": str(data)})})
    _refuse_without_effect(overrides, wanted)
    return wanted


def _refuse_without_effect(overrides: Iterable[str], wanted: Recipe) -> None:
    """Only settings of the command: those of a recipe may belong to the set or schedule that the command replaces."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if f"{key}.".startswith("data.shapes.") and "shapes" not in (wanted.data.set, *wanted.data.also):
            raise ConfigurationError(f"--set {override}: without effect, for the data set is not shapes; leave it out")
        schedule = wanted.training.schedule
        if (only_of := ONLY_OF.get(key.removeprefix("training."), schedule)) != schedule:
            raise ConfigurationError(
                f"--set {override}: without effect, for training.schedule is {schedule}, not {only_of}; leave it out"
            )


def _refuse_two_lengths(overrides: Iterable[str]) -> None:
    """Refuses both steps and epochs: one alone overrides the recipe's other, but with both the intent is unclear."""
    given = [override.partition("=") for override in overrides]
    lengths = {key.strip() for key, _, text in given if read_yaml_value(text) is not None}
    if {"training.steps", "training.epochs"} <= lengths:
        raise ConfigurationError("--set training.steps and --set training.epochs: give one of them")
