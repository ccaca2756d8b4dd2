"""A variational autoencoder on MNIST (Kingma and Welling 2014, https://arxiv.org/abs/1312.6114).

    python -m jaxgen.experiments.mnist_vae
    python -m jaxgen.experiments.mnist_vae --network dcgan --likelihood discretised_logistic
    python -m jaxgen.experiments.mnist_vae --flow iaf

eval/vae/elbo is the bound of log p(x) in nats of the 10,000 test images, which are binarized at random for --likelihood
bernoulli. An epoch is 469 steps. The preset full has the settings for which pythae publishes a figure, on all 60,000
training images: pythae uses another binarization, Larochelle's, of which it keeps 10,000 for validation.
"""

from dataclasses import dataclass
from typing import Literal

from jaxgen.core.model import GenerativeModel
from jaxgen.core.options import Depth
from jaxgen.core.types import Assets
from jaxgen.experiments._digits import QUICK
from jaxgen.experiments._vae import FLOWS, VAE_VALUES, VAEConfig, build_vae, flow_of, load_data
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class FlowOptions:
    """A normalizing flow, which makes the posterior more flexible than a Gaussian."""

    flow: Literal[tuple(FLOWS)] | None = None
    """Flow through which the posterior's Gaussian is sent: planar layers (Rezende and Mohamed 2015), or an inverse
    autoregressive flow (Kingma et al. 2016). None: no flow."""
    flow_layers: Depth = 4
    """Number of layers of the flow."""


@dataclass(frozen=True)
class Config(VAEConfig):
    """Options of mnist_vae."""

    flow: FlowOptions = FlowOptions()


DEFAULT = Config().replace(**VAE_VALUES)


def build_model(config: Config, assets: Assets) -> GenerativeModel:
    """Return a `VAE`, 784-500-20-500-784 by default."""
    flow = config.flow
    posterior = None if flow.flow is None else flow_of(flow.flow, flow.flow_layers, config.model.latent_size)
    return build_vae(config, assets, posterior=posterior)


EXPERIMENT = Experiment(
    file=__file__,
    family="VAE",
    summary="variational autoencoder",
    data="MNIST",
    expected_time="3 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(**QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=300_000,  # 500 epochs
            batch_size=100,
            binarization="fixed",
            latent_size=40,
            widths=(400,),
            learning_rate=1e-4,
            decay_at=(120_000, 210_000),
            decay_factor=10 ** (-1 / 5),
            eval_every=60_000,
            eval_importance_samples=200,
            sample_every=6_000,
            checkpoint_every=6_000,
        ),
    },
    load_data=lambda config: load_data(config.data, config.model),
    build_model=build_model,
)


if __name__ == "__main__":
    EXPERIMENT.main()
