"""MADE: a masked autoencoder as an autoregressive model (Germain et al. 2015, https://arxiv.org/abs/1502.03509)."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


class MaskedDense(nn.Module):
    """A Dense layer with some weights fixed at 0.

    Attributes:
      mask: bool [inputs, outputs], True for the weights that are not fixed at 0.
      use_bias: whether to add a bias.
    """

    mask: np.ndarray
    use_bias: bool = True

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Map [B, inputs] to [B, outputs]."""
        kernel = self.param("kernel", nn.initializers.lecun_normal(), self.mask.shape, jnp.float32)
        outputs = inputs @ (kernel * self.mask)
        return (
            outputs + self.param("bias", nn.initializers.zeros, self.mask.shape[1:], jnp.float32)
            if self.use_bias
            else outputs
        )


class MADE(nn.Module):
    """An autoregressive network: each output depends only on the inputs before its own (section 4 of the paper).

    Inputs and outputs i = 1..L have degree i. Every hidden unit has a degree m and is connected to units of no higher
    degree in the layer before; an output is connected to hidden units of lower degree:

        mask(k -> k') = 1[m(k) <= m(k')],    mask(k -> output i) = 1[m(k) < i]

    so that output i depends on inputs 1..i-1. With a context there are hidden units of degree 0, which depend on
    nothing but the context.

    Attributes:
      widths: widths of the hidden layers.
      outputs_per_input: N, the number of outputs for each input.
      activation: activation of the hidden layers.
      degrees_seed: seed of the hidden degrees, drawn from the lowest of the layer before up to L - 1; None: all degrees
        in turn, as far as the width allows.
      direct: whether inputs are also connected to the outputs directly, by a product with a strictly triangular matrix.
    """

    widths: Sequence[int] = (64,)
    outputs_per_input: int = 2
    activation: Callable[[Array], Array] = nn.elu
    degrees_seed: int | None = None
    direct: bool = False

    @nn.compact
    def __call__(self, inputs: Array, context: Array | None = None) -> Array:
        """Map inputs [B, L], or [B, L, C] of C numbers each, and context [B, D] to [B, N, L]."""
        size = inputs.shape[1]
        inputs = inputs.reshape(len(inputs), -1)
        ends = np.arange(1, size + 1)  # the degrees of inputs and outputs
        input_degrees = np.repeat(ends, inputs.shape[1] // size)
        hidden, degrees = inputs, input_degrees
        for next_degrees in self._hidden_degrees(size, lowest=1 if context is None else 0):
            hidden = MaskedDense(degrees[:, None] <= next_degrees)(hidden)
            if context is not None:
                hidden = hidden + nn.Dense(len(next_degrees), use_bias=False)(context)
            hidden, degrees = self.activation(hidden), next_degrees

        def seen(degrees: np.ndarray) -> np.ndarray:
            return np.tile(degrees[:, None] < ends, (1, self.outputs_per_input))

        outputs = MaskedDense(seen(degrees))(hidden)
        if self.direct:
            outputs = outputs + MaskedDense(seen(input_degrees), use_bias=False, name="direct")(inputs)
        return outputs.reshape(-1, self.outputs_per_input, size)

    def _hidden_degrees(self, size: int, lowest: int) -> list[np.ndarray]:
        """Return the degrees [width] of each hidden layer, from `lowest` to size - 1."""
        end = max(size, lowest + 1)
        if self.degrees_seed is None:
            return [lowest + np.arange(width) % (end - lowest) for width in self.widths]
        # A checkpoint does not hold the degrees: draw them by the only generator whose numbers NumPy never changes.
        generator, layers = np.random.RandomState(self.degrees_seed), []
        for width in self.widths:
            layers.append(generator.randint(lowest, end, width))
            lowest = layers[-1].min()
        return layers


class TokenMADE(nn.Module):
    """Logits of each token of a grid given the tokens before it in raster order, by a `MADE` with ReLU.

    A token enters as K - 1 numbers, one-hot without the first, and its first logit is 0: for K = 2 this is one number
    and the logit of a Bernoulli variable. The order of the tokens is fixed. (The paper's other orders would give logits
    that depend on later tokens, which the models that use this network must not have; its random hidden degrees are
    used here, drawn once.)

    Attributes:
      num_tokens: K.
      widths: widths of the hidden layers.
      degrees_seed, direct: as in `MADE`.
      num_classes: N; labels in 0..N-1 are the second argument. None: no condition.
    """

    num_tokens: int = 2
    widths: Sequence[int] = (500,)
    degrees_seed: int = 0
    direct: bool = False
    num_classes: int | None = None

    @nn.compact
    def __call__(self, tokens: Array, labels: Array | None = None, *, train: bool) -> Array:
        """Map tokens int [B, *S] and labels int [B] to logits [B, *S, K]; the first depends on no token."""
        made = MADE(self.widths, self.num_tokens - 1, nn.relu, self.degrees_seed, self.direct)
        inputs = jax.nn.one_hot(tokens.reshape(len(tokens), -1) - 1, self.num_tokens - 1)  # [B, L, K - 1]
        outputs = made(inputs, None if self.num_classes is None else jax.nn.one_hot(labels, self.num_classes))
        logits = jnp.pad(outputs, ((0, 0), (1, 0), (0, 0)))  # [B, K, L]
        return jnp.moveaxis(logits, 1, -1).reshape(*tokens.shape, self.num_tokens)
