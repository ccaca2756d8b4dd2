"""StyleGAN2 (Karras et al. 2020, https://arxiv.org/abs/1912.04958) on emoji.

    python -m jaxgen.experiments.emoji_stylegan2
    jaxgen sample runs/emoji_stylegan2/001 --truncation 0.7
    jaxgen styles runs/emoji_stylegan2/001 mixing

With --conditional the kind of emoji is given; --augmentation ada is adaptive (https://arxiv.org/abs/2006.06676).
"""

from dataclasses import dataclass

from jaxgen.core.options import CountFromZero, NonNegativeFloat
from jaxgen.experiments._augmentation import AugmentationNames
from jaxgen.experiments._images import ImagesConfig, load_images
from jaxgen.experiments._scored import BestByKID
from jaxgen.experiments._stylegan2 import CONFIGURATION_F, SmallStyleGAN2Config, build_stylegan2
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(BestByKID, ImagesConfig, SmallStyleGAN2Config):
    """Options of emoji_stylegan2."""

    r1_weight: NonNegativeFloat = 20.0
    """Weight gamma of gamma / 2 |grad D|^2 at real images. 0: none."""
    augmentation: AugmentationNames | None = "colour,translation,cutout"
    """Augmentation of what the discriminator sees (there are only 3,440 images to learn from): colour, translation,
    cutout (DiffAugment; separated by commas), or ada."""
    eval_every: CountFromZero = 2_500
    """Steps between evaluations on the held-out examples. 0: only at the end."""


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="StyleGAN2",
    data="emoji, --data ...",
    expected_time="34 min on 1 CPU core",
    presets={
        "quick": Config(
            steps=40,
            channel_base=512,
            channel_max=16,
            sample_every=20,
            checkpoint_every=20,
            eval_metrics=None,
            best_metric=None,
        ),
        "default": Config(),
        # configuration F; R1 as for the 32x32 images of the paper on adaptive augmentation (table 7)
        "full": Config(
            **CONFIGURATION_F, batch_size=64, steps=390_000, r1_weight=0.01, checkpoint_every=10_000, eval_every=10_000
        ),
    },
    load_data=load_images,
    build_model=build_stylegan2,
)


if __name__ == "__main__":
    EXPERIMENT.main()
