"""The benchmark's entries in PyTorch, each network compiled by `torch.compile`.

Only for a step without second derivatives, which compiled networks do not have.
"""

import functools

import torch
import torch._functorch.config
from peers_torch import NETWORKS, train

torch._functorch.config.donated_buffer = False  # a GAN's step goes back through D(G(z)) twice

BUILDERS = {name: functools.partial(train, name, torch.compile) for name in NETWORKS if name != "stylegan2"}
