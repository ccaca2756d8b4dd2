"""Adversarial losses and their gradients by PyTorch, written from the papers' formulas with torch's own primitives.

Run by hand with torch 2.13.0: python tests/references/make_gan_losses.py
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F


def cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


LOSSES = {
    "minimax": (lambda r, f: cross_entropy(r, 1.0) + cross_entropy(f, 0.0), lambda r, f: -cross_entropy(f, 0.0)),
    "non_saturating": (lambda r, f: cross_entropy(r, 1.0) + cross_entropy(f, 0.0), lambda r, f: cross_entropy(f, 1.0)),
    "least_squares": (
        lambda r, f: (F.mse_loss(r, torch.ones_like(r)) + F.mse_loss(f, torch.zeros_like(f))) / 2,
        lambda r, f: F.mse_loss(f, torch.ones_like(f)) / 2,
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "hinge": (lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda r, f: -f.mean()),
    "relativistic_average": (
        lambda r, f: cross_entropy(r - f.mean(), 1.0) + cross_entropy(f - r.mean(), 0.0),
        lambda r, f: cross_entropy(f - r.mean(), 1.0) + cross_entropy(r - f.mean(), 0.0),
    ),
}


def main() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2, 16))
    arrays = {"logits": logits.astype(np.float32)}
    for name, losses in LOSSES.items():
        for player, loss in zip(("discriminator", "generator"), losses, strict=True):
            real, fake = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in arrays["logits"])
            value = loss(real, fake)
            grads = torch.autograd.grad(value, (real, fake), allow_unused=True)
            arrays[f"{name}/{player}/loss"] = value.detach().numpy()
            for which, grad in zip(("real", "generated"), grads, strict=True):
                arrays[f"{name}/{player}/{which}"] = np.zeros(16) if grad is None else grad.numpy()
    np.savez_compressed(Path(__file__).with_name("gan_losses.npz"), **arrays)


if __name__ == "__main__":
    main()
