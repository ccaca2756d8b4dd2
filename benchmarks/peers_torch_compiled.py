"""The benchmark's entries in PyTorch, each network compiled by `torch.compile`.

Left out are StyleGAN2, whose second derivatives compiled networks do not have, and the GANs whose step goes back
through D(G(z)) twice, which torch 2.11 ends with an error.
"""

import functools

import torch
from peers_torch import NETWORKS, train

BUILDERS = {
    name: functools.partial(train, name, torch.compile)
    for name in NETWORKS
    if name not in ("stylegan2", "mlp_gan", "dcgan", "sngan")
}
