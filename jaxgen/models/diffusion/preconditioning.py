"""What the network of a diffusion model predicts, and how the denoised image comes from it.

With x = y + sigma n (`jaxgen.models.diffusion.noise_levels`) and F the network

    D(x, sigma) = c_skip x + c_out F(c_in x, log(sigma) / 4)        (Karras et al. 2022, arXiv:2206.00364, eq. 7)

and every loss is |F - (y - c_skip x) / c_out|^2, which is the loss of each formulation's own paper: for DDPM with
epsilon it is the simple loss (Ho et al. 2020, arXiv:2006.11239, eq. 14), since there (y - c_skip x) / c_out =
(y - x) / -sigma = n.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Coefficient = Callable[[jax.Array], jax.Array]


class Preconditioning(NamedTuple):
    """Coefficients as functions of the noise level sigma, each an array of sigma's shape."""

    c_skip: Coefficient
    c_out: Coefficient
    c_in: Coefficient


def edm(sigma_data: float = 0.5) -> Preconditioning:
    """Return EDM's coefficients (table 1): inputs and targets have variance 1, and errors of F are amplified least.

    Args:
      sigma_data: the standard deviation of the images, over all pixels.
    """
    variance = sigma_data**2

    def total(sigma: jax.Array) -> jax.Array:
        return jnp.square(sigma) + variance

    return Preconditioning(
        lambda sigma: variance / total(sigma),
        lambda sigma: sigma * sigma_data / jnp.sqrt(total(sigma)),
        lambda sigma: 1.0 / jnp.sqrt(total(sigma)),
    )


def _c_in_of_unit_variance(sigma: jax.Array) -> jax.Array:
    """Return sqrt(alpha-bar), which scales x to DDPM's x_t."""
    return 1.0 / jnp.sqrt(1.0 + jnp.square(sigma))


PREDICTIONS: dict[str, Preconditioning] = {
    # the noise n (Ho et al. 2020)
    "epsilon": Preconditioning(jnp.ones_like, jnp.negative, _c_in_of_unit_variance),
    # the image y
    "x0": Preconditioning(jnp.zeros_like, jnp.ones_like, _c_in_of_unit_variance),
    # v = sqrt(a) n - sqrt(1 - a) y (Salimans and Ho 2022, arXiv:2202.00512, appendix D)
    "v": Preconditioning(
        lambda sigma: 1.0 / (1.0 + jnp.square(sigma)),
        lambda sigma: -sigma * _c_in_of_unit_variance(sigma),
        _c_in_of_unit_variance,
    ),
    # the velocity n - y of the straight line (1 - t) y + t n (Lipman et al. 2023, arXiv:2210.02747)
    "flow": Preconditioning(
        lambda sigma: 1.0 / (1.0 + sigma), lambda sigma: -sigma / (1.0 + sigma), lambda sigma: 1.0 / (1.0 + sigma)
    ),
}
"""What F predicts, by name. EDM's own, `edm`, depends on the data."""
