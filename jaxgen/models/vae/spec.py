"""The spec of a VAE."""

from dataclasses import KW_ONLY, dataclass

import flax.linen as nn
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel, ModelSpec
from jaxgen.models.likelihoods import PixelLikelihood
from jaxgen.models.vae.posteriors import Posterior


@dataclass(frozen=True)
class VAE(ModelSpec):
    """A latent-variable model trained on a bound of log p(x), on batches with `image` [B, H, W, C] in [-1, 1].

    The loss of one image, in nats, with z from the posterior and a standard normal prior:

        K = 1:  -log p(x | z) + w KL(q(z | x) || p(z)),     K > 1:  -log 1/K sum_k p(x | z_k) (p(z_k) / q(z_k | x))^w

    w is `beta`, reached over the first `kl_warmup_steps` steps (`jaxgen.models.vae.kl_terms`). The KL term is in closed
    form where the posterior has one, else estimated by z.

    Metrics: `vae/loss`; `vae/reconstruction`, -log p(x | z), and `vae/kl`, in nats without weights; `vae/elbo`, minus
    their sum; `vae/bits_per_dimension`, that ELBO in bits, where the likelihood is of levels; on evaluation
    `vae/log_likelihood`.

    Raises:
      UserError: `free_bits` where the KL term is not in closed form.
    """

    encoder: nn.Module
    """`encoder(images, train=...) -> outputs [B, posterior.num_outputs]`, of images in [0, 1]: digits that are 0 nearly
    everywhere are learned faster than digits that are -1 there (102.5 instead of 104.0 nats after ten epochs of
    mnist_vae)."""
    decoder: nn.Module
    """`decoder(latents [B, L], train=...) -> parameters [B, H, W, C * P]` of the likelihood."""
    _: KW_ONLY
    posterior: Posterior
    """`gaussian_posterior(L)`, or another of `jaxgen.models.vae.posteriors`."""
    likelihood: PixelLikelihood
    """p(x | z), of `jaxgen.models.likelihoods`."""
    optimizer: optax.GradientTransformation
    beta: float = 1.0
    """The weight of the KL term after the warm-up."""
    kl_warmup_steps: int = 0
    """Number of steps over which the KL term's weight rises from 0."""
    free_bits: float = 0.0
    """lambda, in nats: each latent's KL, averaged over the batch, counts as at least this much, so that it is not worth
    switching off (`jaxgen.models.vae.kl_terms`)."""
    importance_samples: int = 1
    """K; above 1 this is the importance-weighted autoencoder (Burda et al. 2016, arXiv:1509.00519, eq. 8), whose
    gradient goes through the bound."""
    num_classes: int | None = None
    """None: no condition. K: both networks get labels in 0..K-1 as their second argument (Sohn et al. 2015; see
    `jaxgen.networks.layers.conditional`)."""
    ema_decay: float | None = None
    """Decay of the moving average that evaluation and samples use; None: no average."""
    eval_importance_samples: int | None = None
    """Number of latents per image with which evaluation also estimates log p(x); None: it does not."""

    def __post_init__(self) -> None:
        if self.free_bits and (self.importance_samples > 1 or not self.posterior.closed_form):
            raise UserError(
                "Free bits need the divergence of each latent in closed form: use them with one importance sample and "
                "a Gaussian posterior, without flow or Hamiltonian dynamics."
            )

    def model(self) -> GenerativeModel:
        from jaxgen.models.vae.principle import model  # which imports this module

        return model(self)
