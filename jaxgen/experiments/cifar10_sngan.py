"""SNGAN on CIFAR-10 (Miyato et al. 2018, https://arxiv.org/abs/1802.05957).

    python -m jaxgen.experiments.cifar10_sngan --data-dir FOLDER --preset full

The command needs CIFAR-10 as tensorflow-datasets prepares it in FOLDER. The full preset has the paper's settings:
widths 256 and 128, five discriminator steps of 64 images for each of 50,000 generator steps, learning rates that fall
to zero. It has not been run yet.
"""

from jaxgen.experiments._images import load_images
from jaxgen.experiments._sngan import SNGAN, build_sngan
from jaxgen.runs.experiment import Experiment

DEFAULT = SNGAN.replace(
    data="cifar10", batch_size=64, discriminator_steps=5, generator_width=64, discriminator_width=64
)


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="SNGAN",
    data="CIFAR-10 (tfds)",
    expected_time="not run yet",
    presets={
        "quick": DEFAULT.replace(
            steps=40, generator_width=16, discriminator_width=16, sample_every=20, checkpoint_every=20
        ),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=250_000,
            generator_width=None,
            discriminator_width=None,
            decay_steps=250_000,
            sample_every=5_000,
            checkpoint_every=5_000,
        ),
    },
    load_data=lambda config: load_images(config.data),
    build_model=build_sngan,
)


if __name__ == "__main__":
    EXPERIMENT.main()
