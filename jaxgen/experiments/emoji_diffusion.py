"""A diffusion model of emoji, or of any images (EDM: Karras et al. 2022, https://arxiv.org/abs/2206.00364).

    python -m jaxgen.experiments.emoji_diffusion
    python -m jaxgen.experiments.emoji_diffusion --data path/to/images --image-size 64 --factors 1 2 2
    jaxgen evaluate runs/emoji_diffusion/001 --metrics kid,memorisation
    jaxgen inpaint runs/emoji_diffusion/001 --hide right

The other options are those of mnist_diffusion. There are only 3,440 emoji to learn from: the metric memorisation, and
nearest.png in the run's folder, show to what extent samples are copies of them.
"""

from jaxgen.experiments._diffusion import (
    DIFFUSION,
    QUICK,
    SHAPES_FIRST,
    ImageDiffusionConfig,
    build_diffusion,
    load_diffusion_images,
)
from jaxgen.runs.experiment import Experiment

DEFAULT = ImageDiffusionConfig().replace(**DIFFUSION, **SHAPES_FIRST, dropout=0.1)


EXPERIMENT = Experiment(
    file=__file__,
    family="diffusion",
    summary="diffusion, as mnist_diffusion",
    data="emoji, --data ...",
    expected_time="163 min on 1 busy CPU core",
    presets={
        "quick": DEFAULT.replace(steps=40, sample_every=20, checkpoint_every=20, **QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=100_000,
            steps_per_dispatch=50,
            batch_size=256,
            width=128,
            patch_size=1,
            factors=(1, 2, 2),
            attention_sizes=(16, 8),
            head_width=64,
            dropout=0.2,
            ema_decay=0.9995,
            sample_every=5_000,
            checkpoint_every=5_000,
            eval_every=5_000,
        ),
    },
    load_data=load_diffusion_images,
    build_model=build_diffusion,
)


if __name__ == "__main__":
    EXPERIMENT.main()
