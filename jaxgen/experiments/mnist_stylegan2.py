"""StyleGAN2 (Karras et al. 2020, https://arxiv.org/abs/1912.04958) on MNIST.

    python -m jaxgen.experiments.mnist_stylegan2
    jaxgen styles runs/mnist_stylegan2/001 mixing

The generator makes images of 32x32, whose middle 28x28 pixels are the digit; the discriminator pads digits by repeating
their edges. With --conditional the model is conditioned on the class. An epoch is 3,750 steps.
"""

from jaxgen.data import load
from jaxgen.experiments._scored import BEST_BY_FID
from jaxgen.experiments._stylegan2 import CONFIGURATION_F, SMALL, StyleGAN2Config, build_stylegan2
from jaxgen.runs.experiment import Experiment

DEFAULT = (
    StyleGAN2Config()
    .replace(**SMALL, **BEST_BY_FID, eval_every=2_500)
    .replace(r1_weight=50.0)  # among 0.1, 2, 10 and 50, the larger, the more diverse the digits
)


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="StyleGAN2",
    data="MNIST",
    expected_time="36 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=40, channel_base=512, channel_max=16, sample_every=20, checkpoint_every=20),
        "default": DEFAULT,
        # configuration F; R1 as for the 32x32 images of the paper on adaptive augmentation (table 7)
        "full": DEFAULT.replace(
            **CONFIGURATION_F, batch_size=64, steps=390_000, r1_weight=0.01, checkpoint_every=10_000
        ),
    },
    load_data=lambda config: load("mnist"),
    build_model=build_stylegan2,
)


if __name__ == "__main__":
    EXPERIMENT.main()
