"""Layers that several architectures share. `convolution` exports its own public names."""
