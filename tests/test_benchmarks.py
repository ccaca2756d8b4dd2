"""The benchmarks compare like with like: the libraries' networks are of the same size."""

import importlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PEERS = ["torch", pytest.param("keras", marks=pytest.mark.slow)]
NAMES = ["mlp_gan", "dcgan", "conv_vae", "sngan", "vq_vae"]


@pytest.fixture
def peer(request, monkeypatch):
    packages = {"keras": ["keras", "tensorflow"], "jaxgen": [], "jaxgen_devices": []}
    for package in packages.get(request.param, ["torch"]):
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module(f"peers_{request.param}")


@pytest.mark.parametrize("peer", ["torch"], indirect=True)
@pytest.mark.parametrize("name", ["cycle_gan", "stylegan2", "diffusion"])
def test_all_networks_have_as_many_parameters_as_in_jaxgen(peer, name):
    common, jaxgen = importlib.import_module("common"), importlib.import_module("peers_jaxgen")
    problem = common.PROBLEMS[name]
    image = jax.ShapeDtypeStruct((2, *problem.image_shape), "float32")
    batch = {"image": image, "source": image, "index": jax.ShapeDtypeStruct((2,), "uint32")}
    params = jax.eval_shape(jaxgen.MODELS[name](problem.adam).init, jax.random.key(0), batch).params
    counts = sorted(sum(leaf.size for leaf in jax.tree.leaves(network)) for network in params.values())
    assert sorted(map(parameters_of, peer.NETWORKS[name]())) == counts


@pytest.mark.parametrize("peer", ["torch", "torch_compiled", "jaxgen", "jaxgen_devices"], indirect=True)
def test_every_entry_of_a_library_can_be_built(peer):
    entries = importlib.import_module("train_step").ENTRIES
    named = {name for name, libraries in entries.items() if peer.__name__.removeprefix("peers_") in libraries}
    assert named <= peer.BUILDERS.keys()


@pytest.mark.parametrize("peer", ["torch"], indirect=True)
def test_the_gpt_has_as_many_parameters_as_in_jaxgen(peer):
    common, jaxgen = importlib.import_module("common"), importlib.import_module("peers_jaxgen")
    batch = {"tokens": jax.ShapeDtypeStruct((2, common.GPT_SIZES["context"] + 1), "uint8")}
    model = jaxgen.MODELS["gpt"](common.PROBLEMS["gpt"].adam)
    params = jax.eval_shape(model.init, jax.random.key(0), batch).params
    assert parameters_of(*peer.NETWORKS["gpt"]()) == sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("peer", ["torch"], indirect=True)
@pytest.mark.parametrize("name", ["mnist_made", "mnist_pixelcnn"])
def test_networks_of_binary_images_give_the_logits_of_jaxgen(peer, name):
    import torch

    train = importlib.import_module("train_torch_binary_images")
    module = train.EXPERIMENTS[name]
    model = module.build_model(module.DEFAULT.replace(ema_decay=None), {"image_shape": (28, 28, 1)})
    state = jax.jit(model.init)(jax.random.key(0), {"image": jnp.zeros((1, 28, 28, 1))})
    params = flatten_dict(jax.device_get(state.params["autoregressive"]), sep=".")
    theirs = train.network_of(train.Options(name), module.DEFAULT)
    for path, parameter in theirs.named_parameters():
        ours = torch.from_numpy(np.array(params.pop(name_in_jaxgen(path))))
        parameter.data = ours.permute(3, 2, 0, 1) if ours.ndim == 4 else ours.T if ours.ndim == 2 else ours
    assert not params
    pixels = np.random.default_rng(0).integers(0, 2, (3, 28, 28))
    nats = train.nats(theirs, torch.from_numpy(pixels).float()).detach()
    np.testing.assert_allclose(model.likelihood.log_prob(state, pixels), -nats, rtol=1e-5)


OTHER_NAMES = {
    "hidden.0": "MADE_0.MaskedDense_0",
    "out": "MADE_0.MaskedDense_1",
    "direct": "MADE_0.direct",
    "embed": "embedding",
    "last": "logits",
}


def name_in_jaxgen(path):
    """Of a parameter in `torch_binary_images`: `vertical.3.weight` is `vertical_3.kernel`."""
    layer, kind = path.rsplit(".", 1)
    return f"{OTHER_NAMES.get(layer, layer.replace('.', '_'))}.{kind.replace('weight', 'kernel')}"


@pytest.mark.parametrize("peer", PEERS, indirect=True)
@pytest.mark.parametrize("name", NAMES)
def test_both_networks_have_as_many_parameters_as_in_jaxgen(peer, name):
    expected = parameters_in_jaxgen(name)
    counts = [parameters_of(network) for network in peer.NETWORKS[name]()]
    assert counts == expected


def parameters_of(network):
    """Of a network of PyTorch or Keras."""
    if hasattr(network, "trainable_variables"):
        return sum(variable.value.shape.num_elements() for variable in network.trainable_variables)
    return sum(parameter.numel() for parameter in network.parameters())


def parameters_in_jaxgen(name):
    """Of generator and discriminator, or of encoder and decoder."""
    common, jaxgen = importlib.import_module("common"), importlib.import_module("peers_jaxgen")
    problem = common.PROBLEMS[name]
    batch = {"image": jax.ShapeDtypeStruct((2, *problem.image_shape), "float32")}
    params = jax.eval_shape(jaxgen.MODELS[name](problem.adam).init, jax.random.key(0), batch).params
    parts = ("generator", "discriminator") if "generator" in params else ("encoder", "decoder")
    networks = params if parts[0] in params else next(iter(params.values()))
    return [sum(leaf.size for leaf in jax.tree.leaves(networks[part])) for part in parts]
