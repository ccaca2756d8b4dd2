"""The models that go through the promises of the contract, one per learning principle."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from tiny import (
    tiny_adversarial_autoencoder,
    tiny_captioned,
    tiny_classifier,
    tiny_conditional_gan,
    tiny_contrastive,
    tiny_convolutional_vae,
    tiny_cycle_gan,
    tiny_dall_e,
    tiny_dcgan,
    tiny_denoising_autoencoder,
    tiny_diffusion,
    tiny_discrete_vae,
    tiny_gan_with_head,
    tiny_gpt,
    tiny_images,
    tiny_ladder_vae,
    tiny_lines,
    tiny_made,
    tiny_mlp_gan,
    tiny_pairs,
    tiny_residual_gan,
    tiny_restoration,
    tiny_rnn,
    tiny_speech,
    tiny_stylegan2,
    tiny_stylization,
    tiny_super_resolution,
    tiny_text,
    tiny_text_to_image,
    tiny_text_vae,
    tiny_translation,
    tiny_two_stages,
    tiny_vae,
    tiny_vae_gan,
    tiny_vq_vae,
    tiny_wavenet,
)

from jaxgen.core.model import GenerativeModel
from jaxgen.data import Dataset, example_batch
from jaxgen.models.augmentation import adaptive_augmentation, differentiable_augmentation
from jaxgen.models.autoregressive.outputs import mixture_in_amplitudes, mixture_of_logistics, softmax
from jaxgen.models.diffusion.noise_levels import flow_times
from jaxgen.models.diffusion.preconditioning import PREDICTIONS
from jaxgen.models.gan.heads import auxiliary_classifier, mutual_information
from jaxgen.models.likelihoods import bernoulli, discretized_logistic, gaussian
from jaxgen.models.vae import flow_posterior, gaussian_posterior, hamiltonian_posterior
from jaxgen.networks.flows import InverseAutoregressiveFlow, PlanarFlow
from jaxgen.networks.linear_prediction import LinearPredictor
from jaxgen.networks.sngan import SNGANGenerator
from jaxgen.training.dispatch import build_dispatch
from jaxgen.training.parallel import device_mesh, replicate


@dataclasses.dataclass(frozen=True)
class Case:
    """A model of the table that goes through the promises of the contract."""

    build: Callable[[], GenerativeModel]
    image_size: int = 8
    data_metric: str | None = "discriminator/accuracy_real"
    """A metric of evaluation that depends on the data alone, not on noise; None: there is none."""
    slow: bool = False
    """Whether only the long tests take it: a second case of a principle that the quick tests have."""
    core: bool = False
    """Whether the quick tests ask it, too, what takes a program for each number of devices; else the long ones do, of
    which one step in float32 on 2 and 8 devices is left out: several in float64 on 8 say more."""
    of_text: bool = False
    """Whether its data are windows of a text, rather than images; then metrics are averages over tokens."""
    of_speech: bool = False
    """With `of_text`: whether the windows are of speech, with what is said,"""
    of_lines: bool = False
    """or lines of text; metrics of a model of whole lines are averages over lines."""

    of_captions: bool = False
    """Whether an image has captions beside it,"""
    of_pairs: bool = False
    """Whether an image has a `source` beside it."""


CASES = {
    "mlp_gan": Case(functools.partial(tiny_mlp_gan, independent_examples=True), core=True),
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
    "acgan_of_sngan_hinge_with_gradient_penalty": Case(
        functools.partial(
            tiny_gan_with_head,
            auxiliary_classifier(),
            10,
            SNGANGenerator((8, 8, 1), 4, num_classes=10),
            loss="hinge",
            penalties={"gradient_penalty": 1.0},
            augmentation=differentiable_augmentation(),
            discriminator_steps=2,
        ),
        slow=True,
    ),
    "biggan_and_sngan_with_consistency": Case(
        functools.partial(tiny_residual_gan, penalties={"consistency": 1.0}), slow=True
    ),
    "dcgan_of_14_pixels": Case(functools.partial(tiny_dcgan, 14, independent_examples=True), 14, slow=True),
    "dcgan_with_batch_norm_in_both_networks": Case(functools.partial(tiny_dcgan, 16), 16, core=True),
    # long ones: the regularizers' second derivatives take as long to compile as ten of the others
    "stylegan2": Case(functools.partial(tiny_stylegan2, r1_every=3, path_every=2), data_metric=None, slow=True),
    "stylegan2_with_classes_adaptive_augmentation_and_cropped_images": Case(
        functools.partial(
            tiny_stylegan2, 10, 6, augmentation=adaptive_augmentation(target=-1.0, images_to_one=1000), mixing_prob=0.5
        ),
        image_size=6,
        data_metric=None,
        slow=True,
    ),
    "classifier": Case(tiny_classifier, data_metric="classifier/loss"),
    "vae_with_free_bits_and_warmup": Case(
        functools.partial(tiny_vae, gaussian_posterior(3), gaussian(), free_bits=0.1, kl_warmup_steps=3, ema_decay=0.9),
        data_metric="vae/kl",
        core=True,
    ),
    "conditional_iwae_with_a_flow_and_a_discretised_logistic": Case(
        functools.partial(
            tiny_vae,
            flow_posterior(InverseAutoregressiveFlow(1, (8,)), 3, context_size=4),
            discretized_logistic(),
            10,
            importance_samples=3,
            eval_importance_samples=4,
        ),
        data_metric=None,
        slow=True,
    ),
    "convolutional_vae_with_a_planar_flow": Case(
        functools.partial(tiny_convolutional_vae, flow_posterior(PlanarFlow(2), 3, context_size=4)),
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
    "ladder_vae": Case(tiny_ladder_vae, data_metric=None, slow=True),
    "denoising_autoencoder": Case(tiny_denoising_autoencoder, data_metric="autoencoder/clean_loss", slow=True),
    "adversarial_autoencoder": Case(tiny_adversarial_autoencoder, data_metric="autoencoder/reconstruction"),
    "vae_gan": Case(tiny_vae_gan, data_metric="decoder/mse", slow=True),  # a VAE and a GAN, which are quick cases
    "vq_vae": Case(functools.partial(tiny_vq_vae, decay=0.5), data_metric=None, core=True),
    "vq_vae_with_codes_learned_by_gradient": Case(
        functools.partial(tiny_vq_vae, codebook="gradient"), data_metric=None, slow=True
    ),
    "prior_of_a_vq_vae": Case(tiny_two_stages, data_metric=None),
    "diffusion_by_a_unet": Case(functools.partial(tiny_diffusion, "unet", guidance=2.0), data_metric=None, slow=True),
    "flow_by_a_transformer": Case(
        functools.partial(
            tiny_diffusion,
            "dit",
            preconditioning=PREDICTIONS["flow"],
            noise_levels=flow_times(),
            sampler="ancestral",
        ),
        data_metric=None,
    ),
    "diffusion_of_captions": Case(tiny_text_to_image, data_metric=None, of_captions=True, slow=True),
    "contrastive": Case(tiny_contrastive, data_metric=None, of_captions=True),
    "contrastive_of_two_transformers": Case(
        functools.partial(tiny_contrastive, "last"), data_metric=None, of_captions=True, slow=True
    ),
    "discrete_vae": Case(tiny_discrete_vae, data_metric="discrete_vae/kl", slow=True),
    "dall_e": Case(tiny_dall_e, data_metric=None, of_captions=True, slow=True),
    "restoration_with_a_discriminator": Case(tiny_restoration, image_size=16, data_metric=None, slow=True),
    "super_resolution_with_batch_norm_and_features": Case(
        tiny_super_resolution, image_size=16, data_metric="baseline/ssim", slow=True
    ),
    "translation_of_pairs": Case(
        tiny_translation, image_size=12, data_metric="baseline/ssim", of_pairs=True, slow=True
    ),
    "stylisation": Case(tiny_stylization, data_metric="translator/plain_style", slow=True),
    "cycle_gan": Case(tiny_cycle_gan, image_size=12, data_metric="baseline/l1", of_pairs=True, slow=True),
    "made_of_binary_pixels": Case(tiny_made, data_metric=None, slow=True),
    "gpt_with_dropout_in_two_micro_batches": Case(
        functools.partial(tiny_gpt, micro_batches=2), data_metric="autoregressive/loss", of_text=True
    ),
    "wavenet_with_a_condition": Case(
        functools.partial(tiny_wavenet, softmax()),
        data_metric="autoregressive/loss",
        of_text=True,
        of_speech=True,
        slow=True,
    ),
    "wavenet_of_amplitudes_with_a_mixture_of_logistics": Case(
        functools.partial(tiny_wavenet, mixture_of_logistics(2, 5), amplitudes=True),
        data_metric="autoregressive/loss",
        of_text=True,
        of_speech=True,
        slow=True,
    ),
    "wavenet_beside_a_linear_predictor": Case(
        functools.partial(tiny_wavenet, mixture_in_amplitudes(2, 5, uniform=0.5), predictor=LinearPredictor(order=2)),
        data_metric="autoregressive/loss",
        of_text=True,
        of_speech=True,
        slow=True,
    ),
    "lstm_with_dropout": Case(
        functools.partial(tiny_rnn, "lstm"), data_metric="autoregressive/loss", of_text=True, slow=True
    ),
    "gru_with_dropout": Case(
        functools.partial(tiny_rnn, "gru"), data_metric="autoregressive/loss", of_text=True, slow=True
    ),
    "recurrent_text_vae": Case(
        functools.partial(tiny_text_vae, "lstm"), data_metric="text_vae/kl", of_text=True, of_lines=True
    ),
    "text_vae_of_transformers": Case(
        functools.partial(tiny_text_vae, "gpt"), data_metric="text_vae/kl", of_text=True, of_lines=True, slow=True
    ),
}
BATCH_SIZE = 16
MAX_STEPS = 8


@functools.cache
def model_of(case: str) -> GenerativeModel:
    return CASES[case].build()


@functools.cache
def data_of(case: str) -> Dataset:
    if CASES[case].of_speech:
        return tiny_speech()
    if CASES[case].of_pairs:
        return tiny_pairs(CASES[case].image_size)
    if CASES[case].of_captions:
        return tiny_captioned(CASES[case].image_size)
    if CASES[case].of_lines:
        return tiny_lines()
    return tiny_text() if CASES[case].of_text else tiny_images(CASES[case].image_size)


@functools.cache
def dispatch_of(case: str, devices: int, x64: bool = False) -> Callable:
    """Train steps of a case on 1, 2 or 8 devices; compiled once (and once more for float64)."""
    data = _in_float64(data_of(case)) if x64 else data_of(case)
    mesh = device_mesh(devices)
    return build_dispatch(model_of(case), data, mesh, batch_size=BATCH_SIZE, max_steps=MAX_STEPS, seed=0, start_step=0)


def _in_float64(data: Dataset) -> Dataset:
    """The examples as they are prepared, but exactly so: two programs may round to float32 in two ways."""

    def double(x: Any) -> np.ndarray:
        x = np.asarray(x)
        return x.astype(np.float64) if np.issubdtype(x.dtype, np.floating) else x

    return dataclasses.replace(data, train=jax.tree.map(double, data.prepare(data.train)), prepare=lambda batch: batch)


@functools.cache
def _initial(case: str) -> Any:
    with jax.enable_x64(False):  # whoever asks first, all are given the same
        return jax.jit(model_of(case).init)(jax.random.key(3), example_batch(data_of(case), 2))


def initial_state(case: str, devices: int = 1) -> Any:
    """A fresh state (a dispatch uses up what it is given)."""
    return replicate(device_mesh(devices), jax.tree.map(jax.numpy.copy, _initial(case)))
