"""Recurrent layers by PyTorch, a GPT-2 and a Llama by transformers, with random weights.

Writes sequence_networks.npz: inputs and outputs, the recurrent layers' weights under jaxgen's names, and the Llama's
under its own. The GPT-2 is written as a folder of transformers, gpt2/.

Run by hand with torch 2.14.1 and transformers 5.24.0: python tests/references/make_sequence_networks.py
"""

import shutil
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)
ARRAYS: dict[str, np.ndarray] = {}


def recurrent(kind: str, channels: int = 3, width: int = 4) -> None:
    """One layer of torch's: outputs for [2, 6, channels], and the gradient of their sum of squares by the inputs."""
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](channels, width, batch_first=True, dtype=torch.float64)
    inputs = torch.tensor(RNG.normal(size=(2, 6, channels)), requires_grad=True)
    outputs, _ = layer(inputs)
    outputs.square().sum().backward()
    weights = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    biases = {"inputs/bias": weights["bias_ih_l0"], "recurrent_bias": weights["bias_hh_l0"]}
    if kind == "lstm":  # which adds the two
        biases = {"inputs/bias": weights["bias_ih_l0"] + weights["bias_hh_l0"]}
    kernels = {"inputs/kernel": weights["weight_ih_l0"].T, "recurrent_kernel": weights["weight_hh_l0"].T}
    for name, value in (kernels | biases).items():
        ARRAYS[f"{kind}/params/{name}"] = value
    results = {"inputs": inputs.detach().numpy(), "outputs": outputs.detach().numpy(), "gradient": inputs.grad.numpy()}
    ARRAYS.update({f"{kind}/{name}": value for name, value in results.items()})


def shaken(model: torch.nn.Module) -> torch.nn.Module:
    """Every parameter moved, so that no bias is 0 and no gain 1."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def logits(name: str, model: torch.nn.Module, vocabulary_size: int, context: int) -> None:
    tokens = torch.tensor(RNG.integers(0, vocabulary_size, (3, context)))
    with torch.no_grad():
        ARRAYS[f"{name}/tokens"], ARRAYS[f"{name}/logits"] = tokens.numpy(), model(tokens).logits.numpy()


def main() -> None:
    torch.manual_seed(0)
    for kind in ("lstm", "gru"):
        recurrent(kind)
    sizes = {"n_positions": 12, "n_embd": 8, "n_layer": 2, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
    gpt2 = shaken(GPT2LMHeadModel(GPT2Config(vocab_size=17, **sizes)))
    logits("gpt2", gpt2, 17, 12)
    shutil.rmtree(HERE / "gpt2", ignore_errors=True)
    gpt2.save_pretrained(HERE / "gpt2")
    (HERE / "gpt2" / "generation_config.json").unlink()
    sizes = {"hidden_size": 24, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 12}
    options = {"rms_norm_eps": 1e-5, "tie_word_embeddings": True, "attention_bias": False}
    llama = shaken(LlamaForCausalLM(LlamaConfig(vocab_size=17, **sizes, **heads, **options)))
    logits("llama", llama, 17, 12)
    ARRAYS.update({f"llama/state/{name}": value.numpy() for name, value in llama.state_dict().items()})
    np.savez_compressed(HERE / "sequence_networks.npz", **ARRAYS)


if __name__ == "__main__":
    main()
