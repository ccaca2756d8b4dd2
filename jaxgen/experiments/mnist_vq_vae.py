"""A VQ-VAE on MNIST (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937).

    python -m jaxgen.experiments.mnist_vq_vae
    jaxgen latent runs/mnist_vq_vae/001 reconstruct
    python -m jaxgen.experiments.mnist_vq_vae_prior --first-stage runs/mnist_vq_vae/001

eval/vq_vae/reconstruction is -log p(x | codes) in nats of the 10,000 test images, binarized at random; with the nats of
a prior over the codes it bounds -log p(x). The model's own samples are decoded from uniform codes: the second stage,
the prior, learns which codes go together. An epoch is 469 steps.
"""

from jaxgen.data import load
from jaxgen.experiments._vq_vae import NARROW, OFTEN, PAPER, VQVAEConfig, build_vq_vae, with_variance
from jaxgen.runs.experiment import Experiment

DEFAULT = VQVAEConfig().replace(**OFTEN, steps=5_000, likelihood="bernoulli", num_codes=64, code_size=16)


EXPERIMENT = Experiment(
    file=__file__,
    family="discrete codes",
    summary="VQ-VAE: images as grids of codes",
    data="MNIST",
    expected_time="27 min on 1 busy CPU core",
    presets={
        "quick": DEFAULT.replace(**NARROW, steps=200, sample_every=100, checkpoint_every=100),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=100_000, steps_per_dispatch=50, checkpoint_every=10_000, sample_every=10_000, **PAPER
        ),
    },
    load_data=lambda config: with_variance(config.model, load("mnist")),
    build_model=build_vq_vae,
)


if __name__ == "__main__":
    EXPERIMENT.main()
