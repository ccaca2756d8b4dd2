"""An experiment as a user would write it in a file of their own: a tiny GAN on 50 images of noise."""

import sys
from dataclasses import dataclass

import numpy as np
import optax

from jaxgen import Experiment, TrainConfig, run
from jaxgen.data import Dataset
from jaxgen.models import GAN
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator


class Streamed:
    """Examples one by one."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index]}


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of this experiment, two of which are its own."""

    latent_size: int = 6
    """Length of the latent vectors."""
    streamed: bool = False
    """Reads the examples one by one."""


CONFIG = Config().replace(steps=8, batch_size=16, steps_per_dispatch=4, log_every=2, sample_every=4, checkpoint_every=4)


def load_data(config):
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), np.uint8)
    return Dataset("noise", Streamed(images) if config.streamed else {"image": images}, {"image": images[:21]})


def build_model(config, assets):
    return GAN(
        MLPGenerator(tuple(assets["image_shape"]), widths=(16,)),
        MLPDiscriminator(widths=(16,)),
        latent_size=config.latent_size,
        generator_optimizer=optax.adam(1e-2, eps=1e-2),
        discriminator_optimizer=optax.adam(1e-2, eps=1e-2),
    ).model()


EXPERIMENT = Experiment(
    file=__file__,
    summary="a tiny GAN",
    data="noise",
    expected_time="seconds",
    presets={"quick": CONFIG, "default": CONFIG, "full": CONFIG},
    load_data=load_data,
    build_model=build_model,
)

if __name__ == "__main__":
    sys.exit(run(EXPERIMENT))
