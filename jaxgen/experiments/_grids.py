"""What the experiments with autoregressive models of grids share: options of the class, and of a gated PixelCNN."""

from dataclasses import dataclass

from jaxgen.core.options import Depth, Size


@dataclass(frozen=True)
class ClassOptions:
    """What the model is told beforehand."""

    conditional: bool = False
    """Whether the class is given, so that samples of a class can be asked for."""


@dataclass(frozen=True)
class PixelCNNOptions:
    """The network, a gated PixelCNN."""

    width: Size = 32
    """Channels of each of the network's two stacks: of the rows above, and of the row so far."""
    layers: Depth = 6
    """Layers of the network."""
