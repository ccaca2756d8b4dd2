"""SNGAN on CIFAR-10 (Miyato et al. 2018, https://arxiv.org/abs/1802.05957).

    python -m jaxgen.experiments.cifar10_sngan --data-dir FOLDER --preset full

needs CIFAR-10 as tensorflow-datasets prepares it in FOLDER. The full preset has the paper's settings: widths 256 and
128, five discriminator steps of 64 for each of 50,000 generator steps, rates that fall to zero. It has not been run.
"""

from dataclasses import dataclass

from jaxgen.core.options import Count, Size, Text
from jaxgen.experiments._images import load_images
from jaxgen.experiments._sngan import SNGANConfig, build_sngan
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(SNGANConfig):
    """Options of cifar10_sngan."""

    data: Text = "cifar10"
    """The set: cifar10, or another one of images (a folder, a name)."""
    batch_size: Count = 64
    """Examples per step, over all devices together."""
    discriminator_steps: Count | None = 5
    """None: both networks step at once. n: n discriminator steps for each generator step."""
    generator_width: Size | None = 64
    """Channels of the generator's maps. None: the paper's 256."""
    discriminator_width: Size | None = 64
    """Channels of the discriminator's maps. None: the paper's 128."""


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="SNGAN",
    data="CIFAR-10 (tfds)",
    expected_time="not run yet",
    presets={
        "quick": Config(steps=40, generator_width=16, discriminator_width=16, sample_every=20, checkpoint_every=20),
        "default": Config(),
        "full": Config(
            steps=250_000,
            generator_width=None,
            discriminator_width=None,
            decay_steps=250_000,
            sample_every=5_000,
            checkpoint_every=5_000,
        ),
    },
    load_data=load_images,
    build_model=build_sngan,
)


if __name__ == "__main__":
    EXPERIMENT.main()
