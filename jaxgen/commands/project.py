"""`jaxgen project RUN IMAGE`: find the styles of a StyleGAN2 whose image is nearest to a given one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxgen.commands._options import RunOptions, check_label, needed, open_named, parse
from jaxgen.commands._outputs import OutputOptions, check_output, writing
from jaxgen.commands._progress import progress_bars
from jaxgen.core.options import Count, CountFromZero, NonNegativeFloat, PositiveFloat, Seed
from jaxgen.core.terminal import tell
from jaxgen.core.types import present
from jaxgen.data.dataset import scaled
from jaxgen.data.npz_file import save_arrays
from jaxgen.data.picture_file import read_image
from jaxgen.editing.projection import feature_distance, pixel_distance, project_image
from jaxgen.runs.opened_run import restore_run
from jaxgen.samples.numbered import labels_of_samples
from jaxgen.samples.pictures import image_grid

DISTANCES = {"features": feature_distance, "pixels": pixel_distance}
LARGE_ENOUGH_FOR_FEATURES = 64
FOR_SPREAD = 10_000
"""Number of styles by which their spread is measured."""


@dataclass(frozen=True, kw_only=True)
class Options(OutputOptions, RunOptions):
    """Find the styles with which a StyleGAN2 makes an image near a given one.

    Writes a picture of the given image, the average image that the search begins with, and the image found, side by
    side; and a file of arrays of the same name (.npz: styles [N, S], noise_0, noise_1, ..., image, distance).
    """

    run: tyro.conf.Positional[Path]
    """The folder of the run."""
    image: tyro.conf.Positional[Path]
    """The image, in PNG, JPEG, WebP, TIFF or another common format. Its middle is cropped and scaled to the size of
    the model's images."""
    steps: Count = 1_000
    """Number of steps of Adam."""
    space: Literal["w", "w+"] = "w"
    """Space of the styles: w, one style for all layers; w+, one for each layer, which comes nearer."""
    distance: Literal[tuple(DISTANCES)] | None = None
    """Distance to minimize: features, in the maps of EfficientNet-Lite0, or pixels, the mean squared difference. None:
    features for images of 64x64 and larger, otherwise pixels."""
    learning_rate: PositiveFloat = 0.1
    """Peak learning rate of Adam."""
    noise: bool = False
    """Optimize the noise too, as in the paper; small images may then be written into the noise alone."""
    noise_weight: NonNegativeFloat = 0.01
    """Weight of the penalty that keeps the noise of --noise uncorrelated."""
    label: CountFromZero | None = None
    """Class whose average style the search begins with, for models with classes. None: the average of all classes."""
    seed: Seed = 0
    """Seed of the random moves of styles in the first steps."""
    out: Path = Path("projected.png")
    """The picture to write (.png); the file of arrays has the same name."""
    checkpoint: str = "last"
    """The checkpoint to use: last, best, or a step."""


def main(arguments: Sequence[str]) -> None:
    options = parse(Options, "project", arguments)
    run = open_named(options.run, options)
    of = needed(run, run.model.styles, "styles")
    if options.label is not None:
        check_label(run, options.label)
    check_output(options.out, (".png",), overwrite=options.overwrite, beside=(".npz",), inputs=[options.image])
    side, _, channels = run.record["assets"]["image_shape"]
    target = jnp.asarray(scaled(read_image(options.image, side, channels)))
    by = options.distance or ("features" if side >= LARGE_ENOUGH_FOR_FEATURES else "pixels")
    state = restore_run(run, options.checkpoint)

    labels = labels_of_samples(run.model, FOR_SPREAD, options.label)
    condition = () if labels is None else (labels,)
    styles = of.of_latents(
        state, present(run.model.latents).prior(jax.random.key(options.seed), FOR_SPREAD), *condition
    )
    average = styles[:, 0].mean(0)
    spread = jnp.sqrt(jnp.mean(jnp.sum(jnp.square(styles[:, 0] - average), -1)))
    noise = of.fixed_noise()

    layers = styles.shape[1]
    with progress_bars() as progress:

        def say(step: int, apart: jax.Array) -> None:
            progress("looking for styles", step, options.steps, f"distance by {by} {float(apart):.4f}")

        progress("looking for styles", 0, options.steps)
        found = project_image(
            of.synthesize,
            state,
            target,
            average=average,
            spread=spread,
            noise=noise,
            layers=layers,
            key=jax.random.key(options.seed),
            distance=DISTANCES[by](),
            space=options.space,
            steps=options.steps,
            learning_rate=options.learning_rate,
            move_noise=options.noise,
            noise_weight=options.noise_weight,
            progress=say,
        )
    begun = of.synthesize(state, jnp.broadcast_to(average, (1, layers, len(average))), noise)
    made = of.synthesize(state, found.styles[None], found.noise)
    images = jnp.clip(jnp.concatenate([target[None], begun, made]), -1.0, 1.0)
    arrays = options.out.with_suffix(".npz")
    maps = {f"noise_{i}": np.asarray(values) for i, values in enumerate(found.noise)}
    maps |= {"styles": found.styles, "image": images[2], "distance": found.distance}
    with writing(options.out) as part:
        image_grid(np.asarray(images), columns=3).save(part)
    with writing(arrays) as part, part.open("wb") as file:
        save_arrays(file, {name: np.asarray(values) for name, values in maps.items()})
    tell(
        f"{options.image}, the average image, and what {run.name} makes, at a distance by {by} of "
        f"{float(found.distance):.4f}: {options.out}; styles: {arrays}"
    )
