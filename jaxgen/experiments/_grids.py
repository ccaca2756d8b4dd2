"""Options of autoregressive models of grids, shared by experiments: of the class, and of a gated PixelCNN."""

from dataclasses import dataclass

from jaxgen.core.options import Depth, Size


@dataclass(frozen=True)
class ClassOptions:
    """The condition of the model."""

    conditional: bool = False
    """Condition on the class, so that samples of a given class can be drawn."""


@dataclass(frozen=True)
class PixelCNNOptions:
    """The network, a gated PixelCNN."""

    width: Size = 32
    """Channels of each of the network's two stacks, for the rows above and for the row so far."""
    layers: Depth = 6
    """Number of layers of the network."""
