"""A masked autoencoder by PyTorch, with random weights: its log-probabilities and their gradients.

Writes made.npz: of a network with two hidden layers over 9 binary pixels, connected to the outputs directly too, the
weights and gradients under jaxgen's names. Its masks are built weight by weight from the paper's definition (Germain et
al. 2015, section 4), of degrees that are drawn as jaxgen says that it draws them.

Run by hand with torch 2.14.1: python tests/references/make_made.py
"""

import itertools
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, linear, relu

SEED, SIZE, WIDTHS = 3, 9, (7, 6)
RNG = np.random.default_rng(0)


def degrees() -> list[list[int]]:
    """Of the inputs, of each hidden layer, and of the outputs."""
    generator, layers = np.random.RandomState(SEED), [list(range(1, SIZE + 1))]
    for width in WIDTHS:
        layers.append([int(m) for m in generator.randint(min(layers[-1]), SIZE, width)])
    return [*layers, list(range(1, SIZE + 1))]


def mask(before: list[int], behind: list[int], *, strictly: bool) -> torch.Tensor:
    rows = [[float(m < n or (m == n and not strictly)) for m in before] for n in behind]
    return torch.tensor(rows, dtype=torch.float64)


def main() -> None:
    layers = degrees()
    masks = [mask(a, b, strictly=b is layers[-1]) for a, b in itertools.pairwise(layers)]
    weights = {}
    for i, m in enumerate(masks):
        weights[f"MaskedDense_{i}/kernel"] = torch.tensor(RNG.normal(size=m.shape), requires_grad=True)
        weights[f"MaskedDense_{i}/bias"] = torch.tensor(RNG.normal(size=len(m)), requires_grad=True)
    weights["direct/kernel"] = torch.tensor(RNG.normal(size=(SIZE, SIZE)), requires_grad=True)
    tokens = torch.tensor(RNG.integers(0, 2, (5, SIZE)), dtype=torch.float64)
    hidden = tokens
    for i, m in enumerate(masks):
        hidden = relu(hidden) if i else hidden  # which leaves the tokens out
        hidden = linear(hidden, weights[f"MaskedDense_{i}/kernel"] * m, weights[f"MaskedDense_{i}/bias"])
    logits = hidden + linear(tokens, weights["direct/kernel"] * mask(layers[0], layers[-1], strictly=True))
    nats = binary_cross_entropy_with_logits(logits, tokens, reduction="none").sum(1)
    nats.sum().backward()
    arrays = {"tokens": tokens.numpy().astype(int), "nats": nats.detach().numpy()}
    for name, weight in weights.items():
        arrays[f"params/MADE_0/{name}"] = weight.detach().numpy().T
        arrays[f"gradient/MADE_0/{name}"] = weight.grad.numpy().T
    np.savez_compressed(Path(__file__).parent / "made.npz", **arrays)


if __name__ == "__main__":
    main()
