"""A residual GAN with spectral normalization (Miyato et al. 2018, https://arxiv.org/abs/1802.05957) on emoji.

    python -m jaxgen.experiments.emoji_sngan
    python -m jaxgen.experiments.emoji_sngan --data path/to/images

With --conditional it is the projection discriminator (Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637), with
--attention-size 16 --generator-spectral-norm SAGAN (Zhang et al. 2019, https://arxiv.org/abs/1805.08318).
"""

from dataclasses import dataclass

from jaxgen.core.options import Count, CountFromZero, Size
from jaxgen.experiments._augmentation import AugmentationNames
from jaxgen.experiments._images import load_images
from jaxgen.experiments._scored import BestByKID
from jaxgen.experiments._sngan import SNGANConfig, build_sngan
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(BestByKID, SNGANConfig):
    """Options of emoji_sngan."""

    batch_size: Count = 32
    """Examples per step, over all devices together."""
    generator_width: Size | None = 64
    """Channels of the generator's maps. None: the paper's 256."""
    discriminator_width: Size | None = 64
    """Channels of the discriminator's maps. None: the paper's 128."""
    augmentation: AugmentationNames | None = "colour,translation,cutout"
    """Augmentation of what the discriminator sees (there are only 3,440 images to learn from): colour, translation,
    cutout (DiffAugment; separated by commas), or ada."""
    eval_every: CountFromZero = 1_000
    """Steps between evaluations on the held-out examples. 0: only at the end."""


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="SNGAN, SAGAN, projection discriminator",
    data="emoji, --data ...",
    expected_time="47 min on 1 CPU core",
    presets={
        "quick": Config(
            steps=40,
            generator_width=16,
            discriminator_width=16,
            sample_every=20,
            checkpoint_every=20,
            eval_metrics=None,
            best_metric=None,
        ),
        "default": Config(),
        "full": Config(
            batch_size=64,
            generator_width=None,
            discriminator_width=None,
            discriminator_steps=5,
            steps=250_000,
            eval_every=10_000,
        ),
    },
    load_data=load_images,
    build_model=build_sngan,
)


if __name__ == "__main__":
    EXPERIMENT.main()
