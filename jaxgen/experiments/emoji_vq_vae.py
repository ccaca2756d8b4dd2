"""A VQ-VAE on emoji (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937).

    python -m jaxgen.experiments.emoji_vq_vae
    python -m jaxgen.experiments.emoji_vq_vae --data path/to/images
    jaxgen latent runs/emoji_vq_vae/001 reconstruct
    python -m jaxgen.experiments.mnist_vq_vae_prior --first-stage runs/emoji_vq_vae/001

eval/vq_vae/reconstruction is -log p(x | codes) of held-out emoji in nats of a density (or, with --likelihood
discretised_logistic, of 256 levels, which have bits per dimension too). The model's own samples are decoded from
uniform codes: the second stage, the prior, learns which codes go together. An epoch is 54 steps of 64 emoji.
"""

from dataclasses import dataclass

from jaxgen.experiments._images import ImageOptions, load_images
from jaxgen.experiments._vq_vae import NARROW, OFTEN, PAPER, VQVAEConfig, build_vq_vae, with_variance
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(VQVAEConfig):
    """Options of emoji_vq_vae."""

    data: ImageOptions = ImageOptions()


DEFAULT = Config().replace(**OFTEN, steps=4_000, batch_size=64, num_codes=128, code_size=32)


EXPERIMENT = Experiment(
    file=__file__,
    family="discrete codes",
    summary="VQ-VAE: images as grids of codes",
    data="emoji, --data ...",
    expected_time="6 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**NARROW, steps=100, sample_every=50, checkpoint_every=50),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=250_000,
            batch_size=128,
            steps_per_dispatch=50,
            checkpoint_every=10_000,
            sample_every=10_000,
            eval_every=10_000,
            **PAPER,
        ),
    },
    load_data=lambda config: with_variance(config.model, load_images(config.data)),
    build_model=build_vq_vae,
)


if __name__ == "__main__":
    EXPERIMENT.main()
