"""The benchmark's entries in PyTorch, each network compiled by `torch.compile`."""

import functools

import torch
from peers_torch import NETWORKS, train

BUILDERS = {name: functools.partial(train, name, torch.compile) for name in NETWORKS}
