"""An experiment: presets, data and model under one name, on the command line.

Every file of `jaxgen/experiments/` defines one `EXPERIMENT` and ends with

    if __name__ == "__main__":
        EXPERIMENT.main()

and so may any file of a user.
"""

import dataclasses
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

import jax

from jaxgen.core import files, signals
from jaxgen.core.cache import cache_folder
from jaxgen.core.command_line import end_well, stoppable
from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel, ModelSpec
from jaxgen.core.option_parsing import parse_options
from jaxgen.core.terminal import printable
from jaxgen.core.types import Assets, Json
from jaxgen.data.dataset import Dataset, example_batch
from jaxgen.data.splits import as_recorded
from jaxgen.samples.previews import prompts_of
from jaxgen.training import checkpoint, run_folder
from jaxgen.training.config import SHOWN_FIRST, SHOWN_LAST, TrainConfig, config_from_json, validate
from jaxgen.training.data_record import recorded_by
from jaxgen.training.loop import TrainResult, train
from jaxgen.training.lost_runs import end_with_other_processes, quiet_native_log
from jaxgen.training.parallel import use_cores_as_devices, use_deterministic_algorithms

PACKAGE = "jaxgen.experiments"
Config = TypeVar("Config", bound=TrainConfig)


@dataclass(frozen=True)
class Experiment(Generic[Config]):
    """A data set, a model and their options, which can be run.

    `build_model(config, assets)` must not need the data: `assets` are those of the data set (class names, ...) and
    `image_shape` (H, W, C). They are kept in the run folder, so that samples can be drawn without the data.
    """

    file: str
    """`__file__` of the module that defines the experiment; its stem is the experiment's name."""
    summary: str
    """One line for `jaxgen list`."""
    data: str
    """The name of the data, for `jaxgen list`."""
    expected_time: str
    """The time that the default preset takes and the machine where it was measured, for `jaxgen list`."""
    presets: Mapping[str, Config]
    """Configs by name: "quick", "default" and "full"."""
    load_data: Callable[[Config], Dataset]
    build_model: Callable[[Config, Assets], GenerativeModel | ModelSpec]
    """(config, assets) -> the model, or its spec."""
    family: str = "your own"
    """The heading under which `jaxgen list` shows it, one of `jaxgen.commands.list.FAMILIES` in the package."""

    @property
    def name(self) -> str:
        return Path(self.file).stem

    @property
    def module(self) -> str | None:
        """The experiment's module if it is part of the package; None: it is found by its file."""
        ours = Path(__file__).resolve().parents[1] / "experiments"
        return f"{PACKAGE}.{self.name}" if Path(self.file).resolve().parent == ours else None

    @property
    def command(self) -> str:
        """The command that runs the experiment."""
        return f"python -m {self.module}" if self.module else f"python {shlex.quote(self.file)}"

    def main(self) -> NoReturn:
        """Run the experiment with the process's arguments and end the process; the last line of its file."""
        sys.exit(run(self))


@dataclass(frozen=True)
class Study:
    """Several runs of experiments that answer one question together; its file has a `main` of its own."""

    file: str
    """`__file__` of the module that defines the study; its stem is the study's name."""
    summary: str
    """One line for `jaxgen list`."""
    data: str
    expected_time: str
    family: str = "your own"

    @property
    def name(self) -> str:
        return Path(self.file).stem


def run(experiment: Experiment, arguments: Sequence[str] | None = None) -> int:
    """Run an experiment with command-line arguments (None: those of the process) and return the exit code.

    The code is 0 when the run is done, 2 for bad input, 1 for a run that failed, and 128 + the signal's number if it
    was stopped.
    """

    def train_and_say() -> int:
        config = parse(experiment, sys.argv[1:] if arguments is None else list(arguments))
        validate(config)
        prepare_process(config)
        result = train_experiment(experiment, config)
        if jax.process_index() == 0:
            print(printable(summary(experiment, config, result), keep="\n"))
        return 0 if result.stopped_by is None else signals.exit_code(signal.Signals[result.stopped_by])

    def stopped() -> str:
        return "stopped before the first step: nothing was saved"

    with stoppable(lambda: None, stopped):
        code = end_well(train_and_say, fault_code=1, stopped=stopped)
        if code:
            end_with_other_processes(code)
        return code


def train_experiment(experiment: Experiment, config: TrainConfig) -> TrainResult:
    """Load the data, build the model and train it."""
    validate(config)  # before networks of these sizes are built
    known = None
    if config.run.resume and config.run.run_dir is not None and run_folder.is_run(config.run.run_dir):
        known = recorded_by(config.run.run_dir, run_folder.read_record(config.run.run_dir))
    with as_recorded(known):  # a resumed run keeps its held-out examples, classes and vocabulary
        data = experiment.load_data(config)
    if known is not None:
        data = dataclasses.replace(data, assets={**data.assets, **known.assets})
    batch = jax.eval_shape(lambda: example_batch(data, 1))
    if "image" in batch:
        data = dataclasses.replace(data, assets={**data.assets, "image_shape": list(batch["image"].shape[1:])})
    model = experiment.build_model(config, data.assets)
    where = {
        "name": experiment.name,
        "module": experiment.module,
        "file": None if experiment.module else str(Path(experiment.file).resolve()),
    }
    return train(model, data, config, name=experiment.name, experiment=where, owns_process=True)


def parse(experiment: Experiment, arguments: list[str]) -> TrainConfig:
    """Return the config of a command line.

    The defaults are the preset or, with --resume, the options of the resumed run; given options win. For an unknown
    flag tyro prints an explanation and exits with code 2.
    """
    arguments = list(arguments)
    default = experiment.presets["default"]
    preset = _value_of(arguments, "--preset")
    if preset is not None and preset in experiment.presets:
        default = experiment.presets[preset].replace(preset=preset)
    if "--resume" in arguments:
        at = arguments.index("--resume") + 1
        if at < len(arguments) and not arguments[at].startswith("-"):  # --resume RUN
            named = arguments.pop(at)
            folder = Path("runs") / experiment.name / named
            arguments += ["--run-dir", str(folder if files.number_of(named) is not None and folder.is_dir() else named)]
        named = _value_of(arguments, "--run-dir")
        run_dir = run_folder.find(Path(named) if named else None, Path("runs") / experiment.name)
        if preset is None:
            record = run_folder.read_record(run_dir)
            _check_same(experiment, record, run_dir)
            default = config_from_json(default, record["config"], str(run_dir / run_folder.CONFIG))
        default = default.replace(run_dir=run_dir, init_from=None)
    # Its own module, which is __main__ when it is run; build_model may be another's.
    module = next((m for m in list(sys.modules.values()) if getattr(m, "__file__", None) == experiment.file), None)
    return parse_options(
        type(default),
        arguments,
        prog=experiment.command,
        description=module.__doc__ if module and module.__doc__ else experiment.summary,
        default=default,
        first=SHOWN_FIRST,
        last=SHOWN_LAST,
    )


def _value_of(arguments: Sequence[str], flag: str) -> str | None:
    """Return the value of `--flag VALUE` or `--flag=VALUE` (the last one; tyro also takes `_` for `-`), or None."""
    value = None
    for i, argument in enumerate(arguments):
        name, equals, rest = argument.partition("=")
        if name.replace("_", "-") == flag:
            value = rest if equals else next(iter(arguments[i + 1 : i + 2]), value)
    return value


def _check_same(experiment: Experiment, record: Json, run_dir: Path) -> None:
    name = record["experiment"]["name"]
    if name != experiment.name:
        raise UserError(f"{run_dir} is a run of {name}, not of {experiment.name}: resume it with that experiment.")


def prepare_process(config: TrainConfig) -> None:
    """Set what jax needs before its backend starts: exact GPU algorithms, CPU devices, processes, the compile cache."""
    asked = config.hardware
    if asked.deterministic:
        use_deterministic_algorithms()
    if asked.devices is not None and asked.devices > 1:
        use_cores_as_devices(asked.devices)
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]  # made at run time
        _use_compile_cache()
    if asked.coordinator is None:
        if asked.num_processes is not None or asked.process_id is not None:
            raise UserError("--num-processes and --process-id need --coordinator HOST:PORT as well.")
        return
    quiet_native_log()
    try:
        if asked.coordinator == "auto":
            jax.distributed.initialize()
        else:
            if asked.num_processes is None or asked.process_id is None:
                raise UserError("--coordinator HOST:PORT needs --num-processes and --process-id as well.")
            jax.distributed.initialize(asked.coordinator, asked.num_processes, asked.process_id)
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"The processes could not be joined at --coordinator {asked.coordinator}: {str(error).splitlines()[0]}"
        ) from error


def _use_compile_cache() -> None:
    """Keep compiled programs in the user's cache, if it can be written."""
    if (cache := cache_folder("xla")) is not None:  # otherwise every program is compiled again
        jax.config.update("jax_compilation_cache_dir", str(cache))


def summary(experiment: Experiment, config: TrainConfig, result: TrainResult) -> str:
    """Return the text printed when a run ends: where the files are, how it went, and what to type next."""
    run_dir, typed = result.run_dir, shlex.quote(str(result.run_dir))
    how = experiment.command
    if result.stopped_by is not None:
        return (
            f"\nStopped by {result.stopped_by} at step {int(result.state.step)} of {config.run.steps}; all is saved. "
            f"Go on with:\n  {how} --resume {typed}"
        )
    samples, sheets = run_folder.samples(run_dir), run_folder.sheets(run_dir)
    rate = result.examples_per_second
    speed = f"{rate:,.0f} examples per second" if rate else "too few to tell the speed"
    lines = ["", f"Done: {config.run.steps} steps, {speed}."]
    for label, held_out in (("last", False), ("held out", True)):
        chosen = {k: v for k, v in result.metrics.items() if k.startswith("eval/") == held_out}
        if chosen:
            numbers = "  ".join(f"{k.removeprefix('eval/')} {v:.4f}" for k, v in chosen.items())
            lines.append(f"  {label:<8} {numbers}")
    lines += [f"  samples  {samples[-1]}"] if samples else []
    lines += [f"  progress {run_dir / run_folder.PROGRESS}"] if sheets else []
    lines += [f"  losses   {run_dir / run_folder.LOSSES}", f"  state    {run_dir / checkpoint.FOLDER}", "Next:"]
    mapping = result.model.mapping
    if mapping is not None and mapping.verb == "stylize":
        lines.append(f"  jaxgen stylize IMAGE {typed} --out stylized.png")
    elif mapping is not None:
        lines.append(f"  jaxgen {mapping.verb} {typed} IMAGE... --out {mapping.verb}d")
    if samples and result.model.sample is not None:
        prompts = prompts_of(result.model, run_folder.read_record(run_dir)["assets"])
        options = {  # by what the samples are shown as
            ".png": "--num 64 --seed 1 --out sheet.png" if prompts is None else f"--prompt {shlex.quote(prompts[0])}",
            ".txt": "--num-tokens 500 --temperature 0.8",
            ".wav": "--seed 1 --out sound.wav",
        }
        lines.append(f"  jaxgen sample {typed} {options[samples[-1].suffix]}")
    latents, codes = result.model.latents, result.model.codes
    if latents is not None:
        lines.append(f"  jaxgen interpolate {typed} --out between.gif")
    if codes is not None or (latents is not None and latents.reconstruct is not None):
        lines.append(f"  jaxgen latent {typed} reconstruct")
    lines += [f"  jaxgen info {typed}", f"  {how} --resume {typed} --steps {2 * config.run.steps}"]
    return "\n".join(lines)
