"""Tiny GPT-2s by transformers whose config.json says unusual things, with random weights.

Writes gpt2_configs.npz: of each its config.json, its weights under their own names, tokens and logits.

Run by hand with torch 2.13.0 and transformers 5.24.0: python tests/references/make_gpt2_configs.py
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

SIZES = {"vocab_size": 11, "n_positions": 7, "n_embd": 6, "n_layer": 3, "n_head": 2}
CASES = {
    "untied": {
        "tie_word_embeddings": False,
        "scale_attn_by_inverse_layer_idx": True,
        "n_inner": 10,
        "layer_norm_epsilon": 0.1,
        "activation_function": "relu",
    },
    "unscaled": {
        "scale_attn_weights": False,
        "reorder_and_upcast_attn": True,
        "attn_implementation": "eager",
        "activation_function": "silu",
    },
    "inverse_only": {
        "scale_attn_weights": False,
        "scale_attn_by_inverse_layer_idx": True,
        "activation_function": "gelu_fast",
    },
    "exact_gelu": {"activation_function": "gelu", "n_head": 3, "n_layer": 1},
}


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    arrays = {}
    for name, options in CASES.items():
        config = GPT2Config(**(SIZES | options), bos_token_id=0, eos_token_id=0)
        model = GPT2LMHeadModel(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            tokens = torch.randint(config.vocab_size, (2, config.n_positions), generator=generator)
            logits = model(tokens).logits
        state = model.state_dict()
        if config.tie_word_embeddings:
            del state["lm_head.weight"]
        arrays[f"{name}/config"] = np.asarray(json.dumps(config.to_dict()))
        arrays[f"{name}/tokens"], arrays[f"{name}/logits"] = tokens.numpy(), logits.numpy()
        arrays |= {f"{name}/state/{key}": value.numpy() for key, value in state.items()}
    np.savez_compressed(Path(__file__).parent / "gpt2_configs.npz", **arrays)


if __name__ == "__main__":
    main()
