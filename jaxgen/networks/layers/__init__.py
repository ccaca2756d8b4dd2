"""What several architectures share. `convolution` has its own front door."""
