"""A residual GAN with spectral normalization (Miyato et al. 2018, https://arxiv.org/abs/1802.05957) on emoji.

    python -m jaxgen.experiments.emoji_sngan
    python -m jaxgen.experiments.emoji_sngan --data path/to/images

With --conditional it has the projection discriminator (Miyato and Koyama 2018, https://arxiv.org/abs/1802.05637); with
--attention-size 16 --generator-spectral-norm it is SAGAN (Zhang et al. 2019, https://arxiv.org/abs/1805.08318).
"""

from jaxgen.experiments._images import load_images
from jaxgen.experiments._scored import BEST_BY_KID
from jaxgen.experiments._sngan import SNGAN, build_sngan
from jaxgen.runs.experiment import Experiment

DEFAULT = SNGAN.replace(
    **BEST_BY_KID,
    batch_size=32,
    generator_width=64,
    discriminator_width=64,
    augmentation="colour,translation,cutout",  # there are only 3,440 images to learn from
    eval_every=1_000,
)


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="SNGAN, SAGAN, projection discriminator",
    data="emoji, --data ...",
    expected_time="47 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(
            steps=40,
            generator_width=16,
            discriminator_width=16,
            sample_every=20,
            checkpoint_every=20,
            eval_metrics=None,
            best_metric=None,
        ),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            batch_size=64,
            generator_width=None,
            discriminator_width=None,
            discriminator_steps=5,
            steps=250_000,
            eval_every=10_000,
        ),
    },
    load_data=lambda config: load_images(config.data),
    build_model=build_sngan,
)


if __name__ == "__main__":
    EXPERIMENT.main()
