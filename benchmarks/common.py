"""Shared inputs of all libraries (sizes, data, settings of the optimizers), and shared entries of all tables."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Adam(NamedTuple):
    """Adam's settings, in the order in which optax and Keras take them."""

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8


class Problem(NamedTuple):
    """The data of an entry, and its optimizer."""

    image_shape: tuple[int, int, int] | None
    """The shape of images; None: a text."""
    batch_size: int
    adam: Adam


PROBLEMS = {
    "mlp_gan": Problem((28, 28, 1), 128, Adam(2e-4, beta1=0.5)),
    "dcgan": Problem((28, 28, 1), 128, Adam(2e-4, beta1=0.5)),
    "conv_vae": Problem((28, 28, 1), 128, Adam(1e-3)),
    "sngan": Problem((32, 32, 3), 32, Adam(2e-4, beta1=0.0, beta2=0.9)),
    "vq_vae": Problem((32, 32, 3), 64, Adam(1e-3)),
    "cycle_gan": Problem((32, 32, 3), 8, Adam(2e-4, beta1=0.5)),
    "stylegan2": Problem((32, 32, 3), 16, Adam(2.5e-3, beta1=0.0, beta2=0.99)),
    "diffusion": Problem((32, 32, 3), 64, Adam(1e-3)),
    "gpt": Problem(None, 12, Adam(1e-3, beta2=0.99)),
}

LATENT_SIZE = 100
SLOPE = 0.2  # of the leaky ReLU
MLP_GENERATOR, MLP_DISCRIMINATOR = (128, 256, 512, 1024), (512, 256, 128)
DCGAN_GENERATOR, DCGAN_DISCRIMINATOR = (256, 128, 64), (64, 128)

VAE_LATENT_SIZE = 20
VAE_ENCODER, VAE_DECODER = (32, 64), (128, 64, 32)

SNGAN_LATENT_SIZE = 128
SNGAN_WIDTH = 64  # of all maps in both networks

VQ_WIDTH = 32  # of all maps in both networks
VQ_BLOCKS = 2
NUM_CODES, CODE_SIZE = 128, 32
COMMITMENT, CODEBOOK_DECAY, SMOOTHING = 0.25, 0.99, 1e-5
DATA_VARIANCE = (256**2 - 1) / 12 / 127.5**2  # of the images, uniform in 0..255, scaled to [-1, 1]

CYCLE_WIDTH = 32  # of all networks at their first size
CYCLE_HALVINGS, CYCLE_BLOCKS, CYCLE_JUDGE_HALVINGS = 2, 3, 2
CYCLE_WEIGHT, IDENTITY_WEIGHT, CYCLE_BUFFER = 10.0, 5.0, 50

STYLE_MAPS = {"channel_base": 1024, "channel_max": 64}
STYLE_LATENT_SIZE, MAPPING_LAYERS, MIXING = 128, 4, 0.9
R1_WEIGHT, R1_EVERY, PATH_WEIGHT, PATH_EVERY = 0.1, 16, 2.0, 4
STYLE_EMA = 0.5 ** (16 / 10_000)  # per step

UNET_WIDTH, UNET_FACTORS, UNET_BLOCKS, UNET_PATCH = 32, (1, 2), 2, 2
UNET_ATTENTION_SIZES, UNET_HEAD_WIDTH = (8,), 32

GPT_SIZES = {"vocabulary_size": 73, "context": 64, "layers": 4, "heads": 4, "width": 128}
WEIGHT_DECAY, CLIP_NORM = 0.1, 1.0  # of the GPT


def examples(problem: Problem) -> np.ndarray:
    """Return the data of an entry, uint8: images, or windows of tokens with the token after them."""
    if problem.image_shape is not None:
        return images(problem.image_shape)
    size = (8192, GPT_SIZES["context"] + 1)
    return np.random.default_rng(0).integers(0, GPT_SIZES["vocabulary_size"], size, np.uint8)


def in_turn(step_at: Callable[[int], None], problem: Problem) -> Callable[[int], None]:
    """Return `run(steps)`, which calls `step_at(first example)` for batch after batch, again and again."""
    position, count = 0, len(examples(problem))

    def run(steps: int) -> None:
        nonlocal position
        for _ in range(steps):
            step_at(position)
            position = (position + problem.batch_size) % count

    return run


def images(shape: tuple[int, int, int]) -> np.ndarray:
    """Draw uniform images uint8 [8192, *shape]."""
    return np.random.default_rng(0).integers(0, 256, (8192, *shape), np.uint8)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


PACKAGES = (
    "jaxgen",
    "jax",
    "jaxlib",
    "flax",
    "torch",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "torch-fidelity",
    "prdc",
    "scikit-learn",
    "transformers",
)


def machine() -> dict:
    """Return the processor, its cores, and the versions of all that is measured."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = models[0] if models else model
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    gpu = {}
    if shutil.which("nvidia-smi"):
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True
        )
        gpu = {"gpu": answer.stdout.strip()} if answer.returncode == 0 else {}
    flags = {key: os.environ[key] for key in ("XLA_FLAGS", "GLIBC_TUNABLES", "OMP_NUM_THREADS") if key in os.environ}
    return {"processor": model, "cores": cores(), **gpu, "python": platform.python_version(), **versions, **flags}


def chosen(text: str, known: list[str], what: str) -> list[str]:
    names = text.split(",") if text else known
    for name in names:
        if name not in known:
            raise SystemExit(f"There is no {what} {name!r}: choose from {', '.join(known)}.")
    return names
