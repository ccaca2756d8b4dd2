"""Gated PixelCNN over grids of tokens (van den Oord et al. 2016, https://arxiv.org/abs/1606.05328)."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array


class GatedPixelCNN(nn.Module):
    """Logits of each token of a grid, given those before it: all rows above, and what is left of it in its own row.

    Two stacks of convolutions see just that, without the blind spot of a single masked one: the vertical
    stack the rows above, the horizontal one the row so far. A layer is, with y of each stack's convolution

        y = tanh(W_f * x + V_f h) sigmoid(W_g * x + V_g h)      (eqs. 2 and 4)

    h being the class, one-hot; the horizontal stack gets a 1x1 convolution of the vertical one's sums besides, and goes
    through a 1x1 convolution and a residual connection.

    Attributes:
      num_tokens: K.
      width: channels of each stack.
      layers: how many.
      first_reach: how far the first layer sees to the left, to the right and up.
      reach: the same of the others, from where they are.
      hidden_width: of the layer before the logits.
      num_classes: None: no condition. N: labels in 0..N-1 are the second argument.
    """

    num_tokens: int
    width: int = 64
    layers: int = 8
    first_reach: int = 3
    reach: int = 1
    hidden_width: int = 128
    num_classes: int | None = None

    @nn.compact
    def __call__(self, tokens: Array, labels: Array | None = None, *, train: bool) -> Array:
        """Tokens int [B, h, w] and labels int [B] -> logits [B, h, w, K]; the first does not depend on any token."""
        condition = None if self.num_classes is None else jax.nn.one_hot(labels, self.num_classes)
        embedded = nn.Dense(self.width, use_bias=False, name="embedding")(jax.nn.one_hot(tokens, self.num_tokens))
        vertical = horizontal = embedded  # [B, h, w, C]
        for i in range(self.layers):
            # The first layer must not see the row, or the place, that it stands at. What later layers find there comes
            # from above, or from the left.
            first = i == 0
            reach, nearest = (self.first_reach, 1) if first else (self.reach, 0)
            back = range(nearest, reach + 1)
            above = [(-up, side) for up in back for side in range(-reach, reach + 1)]
            sums = self._convolved(f"vertical_{i}", vertical, above, condition)
            own = self._convolved(f"horizontal_{i}", horizontal, [(0, -left) for left in back], condition)
            vertical = _gated(sums)
            joined = _gated(own + nn.Dense(2 * self.width, name=f"join_{i}")(sums))
            out = nn.Dense(self.width, name=f"out_{i}")(joined)
            horizontal = out if first else horizontal + out
        hidden = nn.relu(nn.Dense(self.hidden_width, name="hidden")(nn.relu(horizontal)))
        return nn.Dense(self.num_tokens, name="logits")(hidden)

    def _convolved(
        self, name: str, inputs: Array, offsets: Sequence[tuple[int, int]], condition: Array | None
    ) -> Array:
        """A convolution with just these taps, and the class: [B, h, w, C] -> [B, h, w, 2 width].

        As one matrix product, so that what a tap does not see is left out exactly (a transform or a masked kernel would
        only come near to it), and nothing is multiplied by zeros.
        """
        seen = jnp.concatenate([_shifted(inputs, *offset) for offset in offsets], -1)
        sums = nn.Dense(2 * self.width, name=name)(seen)
        if condition is None:
            return sums
        return sums + nn.Dense(2 * self.width, use_bias=False, name=f"{name}_class")(condition)[:, None, None]


def _shifted(inputs: Array, down: int, right: int) -> Array:
    """[B, h, w, C] -> the same with inputs[i + down, j + right] at (i, j), and 0 beyond the border."""
    height, width = inputs.shape[1:3]
    padded = jnp.pad(inputs, ((0, 0), (abs(down), abs(down)), (abs(right), abs(right)), (0, 0)))
    top, left = abs(down) + down, abs(right) + right
    return padded[:, top : top + height, left : left + width]


def _gated(sums: Array) -> Array:
    """[..., 2 C] -> [..., C]."""
    features, gates = jnp.split(sums, 2, axis=-1)
    return jnp.tanh(features) * jax.nn.sigmoid(gates)
