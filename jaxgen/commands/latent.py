"""`jaxgen latent RUN WHAT`: show what the latents of a run mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxgen.commands._options import RunDataOptions, check_label, in_batches, needed, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_output, writing
from jaxgen.commands._rows import write_rows
from jaxgen.core.errors import UserError
from jaxgen.core.model import draws_classes
from jaxgen.core.options import CountFromZero, Length, Seed, within
from jaxgen.core.state import TrainState
from jaxgen.core.terminal import tell
from jaxgen.core.types import present
from jaxgen.data.dataset import length, prepared, read_examples
from jaxgen.editing import latents as maths
from jaxgen.metrics.distances import nearest_distances
from jaxgen.runs.opened_run import Run, restore_run
from jaxgen.runs.run_data import load_run_data
from jaxgen.samples.numbered import draw_conditions
from jaxgen.samples.pictures import latent_scatter

if TYPE_CHECKING:
    from PIL import Image

What = Literal["reconstruct", "interpolate", "arithmetic", "traverse", "manifold", "scatter", "neighbours"]


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RunDataOptions):
    """Show what a run's latents mean, by held-out examples (training examples if none are held out). A model that
    encodes nothing, such as a GAN, is shown by samples instead.

      reconstruct  examples, each above its reconstruction
      interpolate  walks between the 1st and the 2nd example, the 3rd and the
                   4th, ...
      arithmetic   rows a, b, c and a - b + c, of each three examples or of the
                   mean latents of three classes
      traverse     examples with one latent at a time going from -3 to 3 times
                   the latents' spread; one example if none is named
      manifold     the plane of a model's two latents, through the inverse
                   normal CDF; of more latents, the plane of the first two
                   principal components, the plane through three examples, or
                   samples
      scatter      latents colored by class; of more than two latents, the
                   first two principal components
      neighbours   examples, each followed by its nearest neighbors
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    what: tyro.conf.Positional[What]
    """What to show."""
    examples: Annotated[tuple[CountFromZero, ...], Length(0, 10_000)] = ()
    """Numbers of the held-out examples, or samples, to show, from 0. Empty: the first ones."""
    classes: Annotated[tuple[CountFromZero, ...], Length(0, 10_000)] = ()
    """Numbers of three classes for arithmetic, in place of --examples."""
    dimensions: Annotated[tuple[CountFromZero, ...], Length(0, 10_000)] = ()
    """Numbers of the latents to traverse, from 0. Empty: InfoGAN's continuous codes, or the latents that vary most."""
    spherical: bool = False
    """Interpolate along great circles, which suit a Gaussian prior. False: along straight lines."""
    label: CountFromZero | None = None
    """Class with which a conditional model decodes. None: that of the first example of each row."""
    rows: Annotated[int, *within(1, 1_000)] = 8
    """Number of rows of the picture, or of blocks of lines; for manifold also the number of columns."""
    steps: Annotated[int, *within(2, 10_000)] = 10
    """Number of images, or lines, of each walk, including both ends; of values of each latent; or of neighbors."""
    num: Annotated[int, *within(1, 10**7)] = 2_000
    """Number of held-out examples to encode where many are needed."""
    seed: Seed = 0
    """Seed of the samples of a model that encodes nothing."""
    out: Path | None = None
    """The picture to write (.png), or the file of texts (.txt). None: latent_WHAT.png, or the terminal."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


class Subject(NamedTuple):
    """A run, with held-out examples, or with latents of samples if the model encodes nothing."""

    options: Options
    run: Run
    state: TrainState
    examples: np.ndarray
    """Images [N, H, W, C] in [-1, 1], or tokens [N, T + 1] of lines; equal to `latents` if those are drawn."""
    latents: np.ndarray | None
    """[N, L], drawn from the prior; None: the model encodes examples."""
    labels: np.ndarray | None
    """[N], None if the data has no labels."""
    class_names: Sequence[str]
    conditional: bool
    """Whether the model is conditioned on the labels."""

    def chosen(self, count: int, *, multiple: int = 1) -> np.ndarray:
        """Return the numbers of the examples to show: those of --examples, or else the first `count`.

        Raises:
          UserError: a number that no example has, or a count that is no multiple of the size of a group.
        """
        named = self.options.examples or range(min(count, len(self.examples)))
        if wrong := [i for i in named if not 0 <= i < len(self.examples)]:
            raise UserError(
                f"--examples has {wrong[0]}, but the {self.kind}s are 0 to {len(self.examples) - 1} (see --num)."
            )
        if not named or len(named) % multiple:
            raise UserError(f"--examples takes numbers in groups of {multiple} here, not {len(named)}.")
        return np.array(named)

    @property
    def kind(self) -> str:
        """Examples or samples, whichever the numbers count."""
        return "example" if self.latents is None else "sample"

    def encode(self, numbers: np.ndarray) -> np.ndarray:
        """Return the latents [n, L] of examples, or of samples.

        Raises:
          UserError: the model does not encode to vectors.
        """
        if self.latents is not None:
            return self.latents[numbers]
        latents = self._call("encode", self.examples[numbers], numbers)
        if latents.ndim != 2 or not np.issubdtype(latents.dtype, np.floating):
            raise UserError(
                f"{self.run.name} encodes to grids of discrete codes, not to vectors that could be moved "
                "about: only reconstruct works with it."
            )
        return latents

    def reconstruct(self, numbers: np.ndarray) -> np.ndarray:
        """Return the reconstructions [n, ...] of examples, in the form of `examples`."""
        return self._call("reconstruct", self.examples[numbers], numbers)

    def decode(self, rows: np.ndarray, of: np.ndarray | int) -> list[np.ndarray]:
        """Decode latents [R, n, L] to R rows of examples [n, ...]; row i has the class of example `of[i]`."""
        numbers = np.repeat(np.broadcast_to(of, len(rows)), rows.shape[1])
        return np.split(self._call("decode", rows.reshape(-1, rows.shape[-1]).astype(np.float32), numbers), len(rows))

    def _call(self, name: str, inputs: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        function = _function(self.run, name)
        condition = ()
        if self.conditional:
            label = self.options.label if name == "decode" else None
            labels = present(self.labels)
            condition = (labels[numbers] if label is None else np.full(len(numbers), label, labels.dtype),)
        return in_batches(
            lambda *inputs: function(self.state, *inputs), inputs, *condition, what=f"{name.removesuffix('e')}ing"
        )

    def all_latents(self) -> np.ndarray:
        """Return the latents [N, L] of all examples."""
        return self.encode(np.arange(len(self.examples)))


Shown: TypeAlias = "list[tuple[np.ndarray, ...]] | list[np.ndarray] | Image.Image"


# ---------------------------------------------------------------- what can be shown; each function returns rows of
# examples or a picture, and its description


def reconstruct(subject: Subject) -> tuple[Shown, str]:
    if subject.run.record["kind"] == "text":
        numbers = subject.chosen(subject.options.rows)
        rows = list(zip(subject.examples[numbers], subject.reconstruct(numbers), strict=True))
        return rows, f"{len(numbers)} examples, each with its reconstruction"
    columns = subject.options.steps
    numbers = subject.chosen(columns * max(1, subject.options.rows // 2))
    rows = []
    reconstructed = subject.reconstruct(numbers)
    for start in range(0, len(numbers), columns):
        chosen = slice(start, start + columns)
        rows += [subject.examples[numbers[chosen]], reconstructed[chosen]]
    return rows, f"{len(numbers)} examples over their reconstructions"


def interpolate(subject: Subject) -> tuple[Shown, str]:
    options = subject.options
    numbers = subject.chosen(2 * options.rows, multiple=2)
    latents = subject.encode(numbers)
    ends = latents.reshape(-1, 2, latents.shape[-1])
    walks = maths.walk(jnp.asarray(ends[:, 0]), jnp.asarray(ends[:, 1]), options.steps, spherical=options.spherical)
    how = "spherical" if options.spherical else "straight"
    return subject.decode(np.asarray(walks), numbers[::2]), f"{len(walks)} {how} walks between {subject.kind}s"


def arithmetic(subject: Subject) -> tuple[Shown, str]:
    options = subject.options
    if options.classes:
        if subject.latents is not None:
            raise UserError(f"--classes takes means of latents, but {subject.run.name} encodes nothing.")
        if len(options.classes) != 3 or subject.labels is None:
            raise UserError("--classes takes three numbers of classes a, b, c, of data that has classes.")
        means = maths.class_means(subject.all_latents(), subject.labels)
        if missing := [label for label in options.classes if label not in means]:
            raise UserError(
                f"There is no example of class {missing[0]} among the {len(subject.examples)} that were read."
            )
        first = np.array([np.flatnonzero(subject.labels == options.classes[0])[0]])
        terms = np.stack([means[label] for label in options.classes])[None]
        names = [subject.class_names[label] if subject.class_names else str(label) for label in options.classes]
        said = f"{names[0]} - {names[1]} + {names[2]}, by the mean latents of the classes"
    else:
        numbers = subject.chosen(3 * options.rows, multiple=3)
        first, terms = numbers[::3], subject.encode(numbers)
        terms = terms.reshape(-1, 3, terms.shape[-1])
        said = f"{len(terms)} times a - b + c"
    results = terms[:, 0] - terms[:, 1] + terms[:, 2]
    rows = subject.decode(np.concatenate([terms, results[:, None]], 1), first)
    return rows, f"a, b, c, a - b + c in a row: {said}"


def traverse(subject: Subject) -> tuple[Shown, str]:
    options = subject.options
    latents = subject.all_latents()
    numbers = subject.chosen(1)
    spread = latents.std(0)
    known = present(subject.run.model.latents).code_dimensions
    dimensions = np.array(options.dimensions or known or np.argsort(-spread, kind="stable")[: options.rows])
    if wrong := [int(d) for d in dimensions if not 0 <= d < latents.shape[1]]:
        raise UserError(f"--dimensions has {wrong[0]}, but the latents are 0 to {latents.shape[1] - 1}.")
    values = latents.mean(0)[dimensions, None] + spread[dimensions, None] * np.linspace(-3.0, 3.0, options.steps)
    moved = np.stack([maths.traversals(latents[number], dimensions, values) for number in numbers], 1)
    rows = subject.decode(moved.reshape(-1, *moved.shape[2:]), np.tile(numbers, len(dimensions)))
    which = f"{subject.kind}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
    return rows, f"{which}, latents {', '.join(map(str, dimensions))} from -3 to 3 spreads"


def manifold(subject: Subject) -> tuple[Shown, str]:
    options = subject.options
    example = subject.encode(np.array([0]))
    grid = maths.normal_grid(options.rows)
    if options.examples or (subject.latents is not None and example.shape[1] > 2):
        numbers = subject.chosen(3, multiple=3)[:3]
        plane = maths.plane_through(subject.encode(numbers), options.rows)
        said = f"plane through the {subject.kind}s {', '.join(map(str, numbers))}"
    elif example.shape[1] == 2:
        numbers, plane, said = np.array([0]), grid, "plane of the two latents"
    else:
        mean, directions, spread = maths.principal_components(subject.all_latents())
        plane = mean + (grid * spread[:2]) @ directions[:2]
        numbers, said = np.array([0]), "plane of the first two principal components of the latents"
    return subject.decode(plane, numbers[0]), said


def scatter(subject: Subject) -> tuple[Shown, str]:
    latents = subject.all_latents()
    axes, points = ("latent 0", "latent 1"), latents
    if latents.shape[1] == 1:
        raise UserError(f"{subject.run.name} has one latent: a scatter plot needs two.")
    if latents.shape[1] > 2:
        mean, directions, spread = maths.principal_components(latents)
        shares = spread**2 / np.sum(spread**2)
        first, second = (f"principal component {i + 1} ({shares[i]:.0%} of the variance)" for i in range(2))
        axes = first, second
        points = (latents - mean) @ directions[:2].T
    return latent_scatter(points, subject.labels, subject.class_names, axes), f"latents of {len(points)} examples"


def neighbors(subject: Subject) -> tuple[Shown, str]:
    options = subject.options
    latents = subject.all_latents()
    numbers = subject.chosen(options.rows)
    if len(latents) <= options.steps:
        raise UserError(f"There are no {options.steps} other examples among {len(latents)}: lower --steps.")
    nearest = nearest_distances(latents[numbers], latents, options.steps + 1)[1]
    rows = []
    for number, found in zip(numbers, nearest, strict=True):
        others = found[found != number][: options.steps]  # itself is there, but not first if another is equal
        rows.append(subject.examples[[number, *others]])
    return rows, f"{len(numbers)} examples, each followed by the {options.steps} nearest of {len(latents)}"


SHOWN: dict[str, Callable[[Subject], tuple[Shown, str]]] = {
    "reconstruct": reconstruct,
    "interpolate": interpolate,
    "arithmetic": arithmetic,
    "traverse": traverse,
    "manifold": manifold,
    "scatter": scatter,
    "neighbours": neighbors,
}
NEEDS = {"reconstruct": ("reconstruct",), "scatter": ("encode",), "neighbours": ("encode",)}
"""The functions of latents that each view needs; others need decode, and encode or prior."""


def _function(run: Run, name: str) -> Callable[..., jax.Array]:
    """Return a function of the model's latents, or of its codes if it has no latents.

    Raises:
      UserError: the model does not have it.
    """
    source = run.model.codes if run.model.latents is None and name != "decode" else run.model.latents
    return needed(run, getattr(source, name, None), f"way to {name} examples")


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "latent", arguments)
    run = open_named(options.run, options)
    for name in NEEDS.get(options.what, ("prior" if _draws_latents(run) else "encode", "decode")):
        _function(run, name)
    if options.label is not None:
        check_label(run, options.label)
    out = options.out
    if out is None and (run.record["kind"] != "text" or options.what == "scatter"):
        out = Path(f"latent_{options.what}.png")
    if out is not None:
        as_text = run.record["kind"] == "text" and options.what != "scatter"
        check_output(out, (".txt",) if as_text else (".png",), overwrite=options.overwrite)
    shown, said = SHOWN[options.what](_look_at(run, options))
    if isinstance(shown, list):
        write_rows(run, shown, out)
    else:
        with writing(present(out)) as part:
            shown.save(part)
    tell(f"{run.name}: {said}" + ("" if out is None else f": {out}"))


def _draws_latents(run: Run) -> bool:
    """Return whether latents are drawn because the model encodes nothing."""
    return run.model.latents is not None and run.model.latents.encode is None


def _look_at(run: Run, options: Options) -> Subject:
    state = restore_run(run, options.checkpoint)
    conditional = draws_classes(run.model)
    if _draws_latents(run):
        latents = np.asarray(present(run.model.latents).prior(jax.random.key(options.seed), options.num))
        return Subject(options, run, state, latents, latents, draw_conditions(run.model, options.num), (), conditional)
    data = load_run_data(run)
    split = data.train if data.test is None else data.test
    batch = prepared(data, read_examples(split, 0, min(options.num, length(split))))
    labels = np.asarray(batch["label"]) if "label" in batch else None
    names = data.assets.get("class_names", ())
    examples = np.asarray(batch["tokens" if run.record["kind"] == "text" else "image"])
    return Subject(options, run, state, examples, None, labels, names, conditional)
