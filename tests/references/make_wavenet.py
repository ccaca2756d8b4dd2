"""A WaveNet of PyTorch's dilated convolutions, with random weights, and a condition at each sample.

Writes wavenet.npz: tokens, conditions, outputs, the gradient of the outputs' sum of squares by the conditions, and the
weights under jaxgen's names.

Run by hand with torch 2.14.1: python tests/references/make_wavenet.py
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

TOKENS, WIDTH, GATE, SKIP, CONDITION, OUTPUTS = 9, 6, 5, 7, 3, 9
DILATIONS = (1, 2, 4, 1, 2)
LENGTH = 17


def main() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    embedding = torch.nn.Embedding(TOKENS, WIDTH)
    layers = []
    for i, dilation in enumerate(DILATIONS):
        last = i == len(DILATIONS) - 1
        layers.append(
            {
                "filter": torch.nn.Conv1d(WIDTH, GATE, 2, dilation=dilation),
                "gate": torch.nn.Conv1d(WIDTH, GATE, 2, dilation=dilation),
                "filter_condition": torch.nn.Conv1d(CONDITION, GATE, 1, bias=False),
                "gate_condition": torch.nn.Conv1d(CONDITION, GATE, 1, bias=False),
                "residual": None if last else torch.nn.Conv1d(GATE, WIDTH, 1),
                "skip": torch.nn.Conv1d(GATE, SKIP, 1),
            }
        )
    hidden, output = torch.nn.Conv1d(SKIP, SKIP, 1), torch.nn.Conv1d(SKIP, OUTPUTS, 1)
    tokens = torch.randint(0, TOKENS, (2, LENGTH))
    conditions = torch.randn(2, CONDITION, LENGTH, requires_grad=True)
    x, sums = embedding(tokens).transpose(1, 2), 0.0
    for dilation, layer in zip(DILATIONS, layers, strict=True):
        padded = F.pad(x, (dilation, 0))
        z = torch.tanh(layer["filter"](padded) + layer["filter_condition"](conditions))
        z = z * torch.sigmoid(layer["gate"](padded) + layer["gate_condition"](conditions))
        sums = sums + layer["skip"](z)
        if layer["residual"] is not None:
            x = x + layer["residual"](z)
    outputs = output(F.relu(hidden(F.relu(sums))))
    outputs.square().sum().backward()
    arrays = {
        "tokens": tokens.numpy(),
        "conditions": conditions.detach().transpose(1, 2).numpy(),
        "outputs": outputs.detach().transpose(1, 2).numpy(),
        "gradient": conditions.grad.transpose(1, 2).numpy(),
        "params/embedding": embedding.weight.detach().numpy(),
    }
    for name, layer in (("hidden", hidden), ("output", output)):
        arrays[f"params/{name}/kernel"], arrays[f"params/{name}/bias"] = tap(layer, 0), layer.bias.detach().numpy()
    for i, layer in enumerate(layers):
        halves = [
            np.concatenate([tap(layer[name], 0), tap(layer[name], 1), tap(layer[f"{name}_condition"], 0)])
            for name in ("filter", "gate")
        ]
        outs = [layer[name] for name in ("residual", "skip") if layer[name] is not None]
        arrays[f"params/layer_{i}/taps/kernel"] = np.concatenate(halves, 1)
        arrays[f"params/layer_{i}/taps/bias"] = np.concatenate(
            [layer[name].bias.detach().numpy() for name in ("filter", "gate")]
        )
        arrays[f"params/layer_{i}/out/kernel"] = np.concatenate([tap(out, 0) for out in outs], 1)
        arrays[f"params/layer_{i}/out/bias"] = np.concatenate([out.bias.detach().numpy() for out in outs])
    np.savez_compressed(Path(__file__).parent / "wavenet.npz", **arrays)


def tap(layer: torch.nn.Conv1d, number: int) -> np.ndarray:
    """[inputs, features] of one tap."""
    return layer.weight[:, :, number].detach().numpy().T


if __name__ == "__main__":
    main()
