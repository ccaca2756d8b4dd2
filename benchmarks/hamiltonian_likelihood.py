"""-log p(x) of a Hamiltonian VAE, estimated by jaxgen and by pythae's HVAE.get_nll from the same weights and images.

    pip install -e '.[bench]' pythae
    python benchmarks/hamiltonian_likelihood.py runs/mnist_hamiltonian_vae/001 --images 500

The dynamics are those of pythae's published run, 4 leapfrog steps of 0.05 without tempering. See README.md.
"""

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
import tyro
from common import machine
from pythae.models import HVAE, HVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder

from jaxgen.core.state import TrainState, averaged_params
from jaxgen.data.dataset import read_examples
from jaxgen.experiments import mnist_hamiltonian_vae
from jaxgen.runs.opened_run import open_run, restore_run
from jaxgen.runs.run_data import load_run_data

DYNAMICS = {"leapfrog_steps": 4, "leapfrog_step_size": 0.05}
SAMPLES = 1_000  # for each image, in batches of 100 on pythae's side


@dataclasses.dataclass(frozen=True)
class Config:
    """Estimate the likelihood of a run's test images by both libraries."""

    run: tyro.conf.Positional[Path]  # the folder of a run of mnist_hamiltonian_vae
    images: int = 500  # the first of the test images
    json: Path | None = None  # file for the results


def main() -> None:
    config = tyro.cli(Config)
    about = machine()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    run = open_run(config.run)
    state, data = restore_run(run), load_run_data(run)
    batch = data.prepare(read_examples(data.test, 0, config.images))
    batch["index"] = np.arange(config.images, dtype=np.uint32)
    params = averaged_params(state, "vae")
    nats = {
        "jaxgen": of_jaxgen(run.config, run.record["assets"], params, state, batch),
        "pythae": of_pythae(params, (np.asarray(batch["image"]) > 0).astype(np.float32)),
    }
    for name, values in nats.items():
        print(f"{name}: -log p(x) {-values.mean():.2f} nats, the mean of {len(values)} images")
    difference = nats["pythae"] - nats["jaxgen"]
    error = difference.std(ddof=1) / len(difference) ** 0.5
    print(f"pythae's log p(x) is larger by {difference.mean():.2f} with a standard error of {error:.2f}")
    if config.json is not None:
        config.json.write_text(json.dumps({"machine": about, **{k: v.tolist() for k, v in nats.items()}}, indent=2))


def of_jaxgen(
    config: mnist_hamiltonian_vae.Config,
    assets: dict[str, Any],
    params: dict[str, Any],
    state: TrainState,
    batch: dict[str, Any],
) -> np.ndarray:
    """Return the estimates [N] of the model's own `log_likelihood`."""
    fixed = config.replace(**DYNAMICS, learn_dynamics=False, initial_temperature=1.0)
    model = mnist_hamiltonian_vae.build_model(fixed, assets)
    state = state.replace(params={"vae": {**params, "posterior": {}}}, ema_params={})
    estimate = jax.jit(model.likelihood.log_likelihood, static_argnums=3)
    return np.asarray(estimate(state, jax.random.key(0), batch, SAMPLES), np.float64)


def of_pythae(params: dict[str, Any], images: np.ndarray) -> np.ndarray:
    """Return the estimates [N] of get_nll, which returns the mean over images and so is called for one at a time."""
    encoder, decoder = (jax.tree.map(tensor, params[name]) for name in ("encoder", "decoder"))
    softplus, linear = torch.nn.functional.softplus, torch.nn.functional.linear

    def dense(layer: dict[str, torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        return linear(inputs, layer["kernel"].T, layer["bias"])

    class Encoder(BaseEncoder):
        def forward(self, x: torch.Tensor) -> ModelOutput:
            mean, log_variance = dense(encoder["Dense_0"], softplus(dense(encoder["Dense_1"], x.flatten(1)))).chunk(
                2, 1
            )
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def forward(self, z: torch.Tensor) -> ModelOutput:
            logits = dense(decoder["Dense_1"], softplus(dense(decoder["Dense_0"], z)))
            return ModelOutput(reconstruction=logits.reshape(len(z), 1, 28, 28))

    options = {"n_lf": DYNAMICS["leapfrog_steps"], "eps_lf": DYNAMICS["leapfrog_step_size"], "beta_zero": 1.0}
    size = len(params["decoder"]["Dense_0"]["kernel"])
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        about = HVAEConfig(input_dim=(1, 28, 28), latent_dim=size, reconstruction_loss="bce", **options)
        model = HVAE(about, Encoder(), Decoder())
        torch.manual_seed(0)
        each = torch.from_numpy(images.reshape(-1, 1, 1, 28, 28))
        return np.array([model.get_nll(image, n_samples=SAMPLES, batch_size=100) for image in each], np.float64)


def tensor(array: Any) -> torch.Tensor:
    return torch.tensor(np.array(array), requires_grad=True)


if __name__ == "__main__":
    main()
