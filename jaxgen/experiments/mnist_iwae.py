"""The importance-weighted autoencoder on MNIST (Burda et al. 2016, https://arxiv.org/abs/1509.00519).

    python -m jaxgen.experiments.mnist_iwae
    python -m jaxgen.experiments.mnist_iwae --init-from runs/mnist_iwae/001 --importance-samples 50 --batch-size 20 \\
        --learning-rate 5e-4 --steps 140000 --decay-at 50000 90000 120000 --decay-factor 0.4 \\
        --eval-importance-samples 5000

The first command trains on the bound of 5 latents per image, the second continues with that of 50. An epoch is 600
steps of 100 images. eval/vae/log_likelihood is log p(x), estimated with --eval-importance-samples latents, at the end
of the run only. The preset full has the settings for which pythae publishes a figure, which are nearly the paper's: 50
latents from the beginning and 3,280 epochs of a fixed binarization (mnist_vae says of which images); the other presets
resample the training images, as the paper does.
"""

from jaxgen.experiments._vae import VAEConfig, build_vae, load_data
from jaxgen.runs.experiment import Experiment

EPOCH = 3_000  # of the preset full, whose batches are of 20
MILESTONES = (2, 5, 14, 28, 41, 122, 365, 1_094)

DEFAULT = VAEConfig().replace(
    steps=100_000,
    batch_size=100,
    sample_every=10_000,
    checkpoint_every=5_000,
    latent_size=50,
    widths=(200, 200),
    activation="tanh",
    importance_samples=5,
    eval_importance_samples=200,
    epsilon=1e-4,
    ema_decay=0.9998,
)


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="importance-weighted autoencoder",
    data="MNIST",
    expected_time="30 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=3_000, sample_every=500, checkpoint_every=500, eval_importance_samples=100),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=3_280 * EPOCH,
            batch_size=20,
            binarization="fixed",
            importance_samples=50,
            eval_importance_samples=5_000,
            decay_at=tuple(EPOCH * milestone for milestone in MILESTONES),
            decay_factor=10 ** (-1 / 7),
            ema_decay=None,
            checkpoint_every=10 * EPOCH,
            sample_every=10 * EPOCH,
        ),
    },
    load_data=lambda config: load_data(config.data, config.model),
    build_model=build_vae,
)


if __name__ == "__main__":
    EXPERIMENT.main()
