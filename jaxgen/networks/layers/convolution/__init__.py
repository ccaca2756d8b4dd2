"""Convolutions, equal to Flax's, in the form that is fast on the device at hand. README.md says which is taken when."""

from jaxgen.networks.layers.convolution.conv import Conv, ConvTranspose, fast_forms_pay

__all__ = ["Conv", "ConvTranspose", "fast_forms_pay"]
