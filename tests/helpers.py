"""Tiny data, tiny models and the running of commands in processes of their own."""

import dataclasses
import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxgen.data import Dataset, example_batch
from jaxgen.models import classifier, gan
from jaxgen.models.adversarial_autoencoder import adversarial_autoencoder
from jaxgen.models.augmentation import adaptive_augmentation, differentiable_augmentation
from jaxgen.models.autoencoder import autoencoder
from jaxgen.models.gan_heads import Head, auxiliary_classifier, mutual_information
from jaxgen.models.hierarchical_vae import hierarchical_vae
from jaxgen.models.likelihoods import Likelihood, bernoulli, discretised_logistic, gaussian
from jaxgen.models.posteriors import Posterior, flow_posterior, gaussian_posterior, hamiltonian_posterior
from jaxgen.models.vae import vae
from jaxgen.models.vae_gan import vae_gan
from jaxgen.models.vq_vae import vq_vae
from jaxgen.networks.classifier import ConvClassifier
from jaxgen.networks.conditional import ConditionalDiscriminator, ConditionalGenerator
from jaxgen.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from jaxgen.networks.feature_discriminator import FeatureDiscriminator
from jaxgen.networks.flows import InverseAutoregressiveFlow
from jaxgen.networks.ladder import LadderDecoder, LadderEncoder
from jaxgen.networks.mlp import MLPDiscriminator, MLPEncoder, MLPGenerator
from jaxgen.networks.vq_conv import VQDecoder, VQEncoder
from jaxgen.training.config import TrainConfig
from jaxgen.training.dispatch import build_dispatch
from jaxgen.training.parallel import device_mesh, replicate
from jaxgen.training.state import GenerativeModel

# ---------------------------------------------------------------- data


def tiny_images(size: int = 8, *, examples: int = 50, test_examples: int = 21, **options: Any) -> Dataset:
    """Random images [size, size, 1] with labels 0..9; the number of examples fits no batch size, on purpose."""
    rng = np.random.default_rng(0)

    def split(number: int) -> dict[str, np.ndarray]:
        return {
            "image": rng.integers(0, 256, (number, size, size, 1), np.uint8),
            "label": rng.integers(0, 10, number).astype(np.int32),
        }

    return Dataset("tiny", split(examples), split(test_examples), **options)


class Streamed:
    """The examples of a split one by one, as a source."""

    def __init__(self, split: dict[str, np.ndarray]):
        self.split = split

    def __len__(self) -> int:
        return len(self.split["image"])

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {name: values[index] for name, values in self.split.items()}


def streamed(data: Dataset) -> Dataset:
    return dataclasses.replace(data, train=Streamed(data.train))


# ---------------------------------------------------------------- models


def optimiser(learning_rate: float = 1e-2) -> optax.GradientTransformation:
    """Adam with a large epsilon: smooth in the gradient, so that rounding is not blown up to a whole step."""
    return optax.adam(learning_rate, eps=1e-2)


def tiny_mlp_gan(learning_rate: float = 1e-2, **options: Any) -> GenerativeModel:
    return gan(
        MLPGenerator((8, 8, 1), widths=(16, 32)),
        MLPDiscriminator(widths=(32, 16)),
        latent_size=6,
        generator_optimiser=optimiser(learning_rate),
        discriminator_optimiser=optimiser(learning_rate),
        **options,
    )


def tiny_conditional_gan(**options: Any) -> GenerativeModel:
    return gan(
        ConditionalGenerator(MLPGenerator((8, 8, 1), widths=(16, 32)), num_classes=10),
        ConditionalDiscriminator(MLPDiscriminator(widths=(32, 16)), num_classes=10),
        num_classes=10,
        latent_size=6,
        generator_optimiser=optimiser(),
        discriminator_optimiser=optimiser(),
        **options,
    )


def tiny_gan_with_head(head: Head, head_outputs: int, **options: Any) -> GenerativeModel:
    return gan(
        ConditionalGenerator(MLPGenerator((8, 8, 1), widths=(16, 32)), num_classes=10),
        MLPDiscriminator(widths=(32, 16), head_outputs=head_outputs),
        num_classes=10,
        head=head,
        latent_size=6,
        generator_optimiser=optimiser(),
        discriminator_optimiser=optimiser(),
        **options,
    )


def tiny_dcgan(size: int, **options: Any) -> GenerativeModel:
    return gan(
        DCGANGenerator((size, size, 1), 4),
        DCGANDiscriminator((size, size, 1), 4),
        latent_size=6,
        generator_optimiser=optimiser(),
        discriminator_optimiser=optimiser(),
        **options,
    )


def tiny_classifier() -> GenerativeModel:
    network = ConvClassifier(num_classes=10, widths=(4, 8), num_features=16)
    return classifier(network, optimiser=optimiser(), shift=2, label_smoothing=0.1, ema_decay=0.9)


def tiny_vae(
    posterior: Posterior, likelihood: Likelihood, num_classes: int | None = None, **options: Any
) -> GenerativeModel:
    encoder = MLPEncoder(posterior.num_outputs, (16,), activation=jax.numpy.tanh)
    shape = (8, 8, likelihood.parameters_per_channel)
    decoder = MLPGenerator(shape, (16,), activation=jax.numpy.tanh, output_activation=None)
    if num_classes is not None:
        encoder, decoder = ConditionalDiscriminator(encoder, num_classes), ConditionalGenerator(decoder, num_classes)
    options |= {"num_classes": num_classes, "optimiser": optimiser()}
    return vae(encoder, decoder, posterior=posterior, likelihood=likelihood, **options)


def tiny_ladder_vae() -> GenerativeModel:
    sizes, widths = (4, 2), (16, 8)
    networks = LadderEncoder(sizes, widths), LadderDecoder((8, 8, 1), sizes, widths)
    return hierarchical_vae(*networks, latent_sizes=sizes, likelihood=bernoulli(), optimiser=optimiser())


def tiny_autoencoder_networks(num_outputs: int = 3) -> tuple[MLPEncoder, MLPGenerator]:
    encoder = MLPEncoder(num_outputs, (16,), activation=jax.numpy.tanh)
    return encoder, MLPGenerator((8, 8, 1), (16,), activation=jax.numpy.tanh, output_activation=None)


def tiny_denoising_autoencoder() -> GenerativeModel:
    options = {"noise_level": 0.2, "masking": 0.2, "loss": "cross_entropy", "optimiser": optimiser()}
    return autoencoder(*tiny_autoencoder_networks(), latent_size=3, **options)


def tiny_adversarial_autoencoder() -> GenerativeModel:
    networks = (*tiny_autoencoder_networks(), MLPDiscriminator((8,)))
    optimisers = {"autoencoder_optimiser": optimiser(), "discriminator_optimiser": optimiser()}
    return adversarial_autoencoder(*networks, latent_size=3, adversarial_weight=0.5, **optimisers)


def tiny_vae_gan() -> GenerativeModel:
    decoder = MLPGenerator((8, 8, 1), widths=(16,), batch_norm=True)
    networks = (MLPEncoder(6, (16,)), decoder, FeatureDiscriminator(widths=(4,), hidden_width=8))
    optimisers = {f"{name}_optimiser": optimiser() for name in ("encoder", "decoder", "discriminator")}
    return vae_gan(*networks, latent_size=3, feature_weight=0.1, **optimisers)


def tiny_vq_vae(**options: Any) -> GenerativeModel:
    sizes = {"width": 4, "residual_width": 4, "residual_blocks": 1}
    networks = VQEncoder(3, **sizes), VQDecoder(1, **sizes)
    options |= {"num_codes": 6, "code_size": 3, "grid_shape": (2, 2), "optimiser": optimiser()}
    return vq_vae(*networks, likelihood=bernoulli(), **options)


@dataclasses.dataclass(frozen=True)
class Case:
    """A model of the table that goes through the promises of the contract."""

    build: Callable[[], GenerativeModel]
    image_size: int = 8
    data_metric: str | None = "discriminator/accuracy_real"
    """A metric of evaluation that depends on the data alone, not on noise; None: there is none."""
    slow: bool = False
    """Whether only the long tests take it: a second case of a principle that the quick tests have."""


CASES = {
    "mlp_gan": Case(functools.partial(tiny_mlp_gan, independent_examples=True)),
    "mlp_gan_with_2_discriminator_steps": Case(
        functools.partial(tiny_mlp_gan, discriminator_steps=2, loss="minimax"), slow=True
    ),
    "conditional_mlp_gan": Case(
        functools.partial(tiny_conditional_gan, independent_examples=True, penalties={"r1_estimate": 0.1}),
        slow=True,
    ),
    "infogan_least_squares_with_a_lazy_penalty_and_adaptive_augmentation": Case(
        functools.partial(
            tiny_gan_with_head,
            mutual_information(10, 2),
            12,
            loss="least_squares",
            penalties={"r1": 0.1},
            penalty_every=2,
            augmentation=adaptive_augmentation(target=-1.0, images_to_one=1000),
        ),
        slow=True,
    ),
    "acgan_hinge_with_gradient_penalty": Case(
        functools.partial(
            tiny_gan_with_head,
            auxiliary_classifier(),
            10,
            loss="hinge",
            penalties={"gradient_penalty": 1.0},
            augmentation=differentiable_augmentation(),
            discriminator_steps=2,
        )
    ),
    "dcgan_of_14_pixels": Case(functools.partial(tiny_dcgan, 14, independent_examples=True), 14, slow=True),
    "dcgan_with_batch_norm_in_both_networks": Case(functools.partial(tiny_dcgan, 16), 16),
    "classifier": Case(tiny_classifier, data_metric="classifier/loss"),
    "vae_with_free_bits_and_warmup": Case(
        functools.partial(tiny_vae, gaussian_posterior(3), gaussian(), free_bits=0.1, kl_warmup_steps=3, ema_decay=0.9),
        data_metric="vae/kl",
    ),
    "conditional_iwae_with_a_flow_and_a_discretised_logistic": Case(
        functools.partial(
            tiny_vae,
            flow_posterior(InverseAutoregressiveFlow(1, (8,)), 3, context_size=4),
            discretised_logistic(),
            10,
            importance_samples=3,
            eval_importance_samples=4,
        ),
        data_metric=None,
        slow=True,
    ),
    "hamiltonian_vae": Case(
        functools.partial(
            tiny_vae,
            hamiltonian_posterior(3, steps=1, initial_temperature=0.5, learn_dynamics=True),
            bernoulli(),
        ),
        data_metric=None,
        slow=True,
    ),
    "ladder_vae": Case(tiny_ladder_vae, data_metric=None),
    "denoising_autoencoder": Case(tiny_denoising_autoencoder, data_metric="autoencoder/clean_loss"),
    "adversarial_autoencoder": Case(tiny_adversarial_autoencoder, data_metric="autoencoder/reconstruction"),
    "vae_gan": Case(tiny_vae_gan, data_metric="decoder/mse"),
    "vq_vae": Case(functools.partial(tiny_vq_vae, decay=0.5), data_metric=None),
    "vq_vae_with_codes_learned_by_gradient": Case(
        functools.partial(tiny_vq_vae, codebook="gradient"), data_metric=None, slow=True
    ),
}
BATCH_SIZE = 16
MAX_STEPS = 8


@functools.cache
def model_of(case: str) -> GenerativeModel:
    return CASES[case].build()


@functools.cache
def data_of(case: str) -> Dataset:
    return tiny_images(CASES[case].image_size)


@functools.cache
def dispatch_of(case: str, devices: int, x64: bool = False) -> Callable:
    """Train steps of a case on 1, 2 or 8 devices; compiled once (and once more for float64)."""
    del x64  # part of the cache's key
    mesh = device_mesh(devices)
    return build_dispatch(
        model_of(case), data_of(case), mesh, batch_size=BATCH_SIZE, max_steps=MAX_STEPS, seed=0, start_step=0
    )


@functools.cache
def _initial(case: str) -> Any:
    data = data_of(case)
    return jax.jit(model_of(case).init)(jax.random.key(3), example_batch(data, 2))


def initial_state(case: str, devices: int = 1) -> Any:
    """A fresh state (a dispatch uses up what it is given)."""
    return replicate(device_mesh(devices), jax.tree.map(jax.numpy.copy, _initial(case)))


def floats(tree: Any) -> list[tuple[str, np.ndarray]]:
    """(path, array) of the leaves that are floating-point numbers."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [
        (jax.tree_util.keystr(path), np.asarray(x)) for path, x in leaves if jax.numpy.issubdtype(x.dtype, np.floating)
    ]


# ---------------------------------------------------------------- runs


def tiny_config(run_dir: Path, **options: Any) -> TrainConfig:
    """8 steps on one device; reports and checkpoints every 4."""
    defaults = {
        "steps": 8,
        "batch_size": BATCH_SIZE,
        "devices": 1,
        "steps_per_dispatch": 4,
        "checkpoint_every": 4,
        "log_every": 2,
        "sample_every": 4,
    }
    return TrainConfig(run_dir=run_dir, **(defaults | options))


def process_environment(devices: int = 1) -> dict[str, str]:
    return {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "PYTHONUNBUFFERED": "1",
    }


def start_python(*arguments: Any, devices: int = 1, cwd: Path | None = None) -> subprocess.Popen:
    """`python ARGUMENTS` as a process of its own, whose output is captured as text."""
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=process_environment(devices),
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run_python(*arguments: Any, devices: int = 1, cwd: Path | None = None, timeout: float = 300) -> Any:
    """Runs `python ARGUMENTS` to its end; killed after `timeout` seconds."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=process_environment(devices),
        cwd=cwd,
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def overwrite_64_bytes(folder):
    """In the middle of the largest file of a checkpoint: the array data."""
    path = max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(255 - b for b in content[middle : middle + 64])
    path.write_bytes(content)


def saved_digest(run_dir: Path, step: int) -> str:
    """The digest of the state that was saved with checkpoint `step`."""
    return json.loads((run_dir / "checkpoints" / str(step) / "run" / "metadata").read_text())["digest"]
