"""Convolutions, equal to Flax's, in the form that is fast on the current device. README.md says which is used when."""

from jaxgen.networks.layers.convolution.conv import Conv, ConvTranspose, fast_forms_pay

__all__ = ["Conv", "ConvTranspose", "fast_forms_pay"]
