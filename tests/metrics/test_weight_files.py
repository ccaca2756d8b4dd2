"""Files of weights: there and back, PyTorch's names and layouts, and what is said of a wrong file."""

import hashlib
import json
from pathlib import Path

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest
import rebuild_weights
from flax.traverse_util import flatten_dict
from helpers import REFERENCES
from references.random_network import random_state
from references.torch_layout import fill_layout
from safetensors.numpy import load_file, save_file

from jaxgen.core.errors import UserError
from jaxgen.metrics import weights
from jaxgen.metrics.weight_files import (
    checked_variables,
    file_sha256,
    inception_variables,
    load_variables,
    read_safetensors,
    save_variables,
)
from jaxgen.networks.layers.normalization import BatchNorm

FOLDER = REFERENCES
SHIPPED = Path(weights.__file__).parent / "efficientnet_lite0.safetensors"


class Small(nn.Module):
    """Every kind of layer: [B, 4, 4, 2] -> [B, 5]."""

    @nn.compact
    def __call__(self, images, *, train=False):
        hidden = nn.Conv(3, (3, 2), use_bias=False, name="conv")(images)
        hidden = BatchNorm(name="norm")(hidden, train=train)
        return nn.Dense(5, name="dense")(hidden.mean((1, 2)))


def small_state():
    """What PyTorch would save of `Small`."""
    generator = np.random.default_rng(0)
    shapes = {
        "net.conv.weight": (3, 2, 3, 2),
        "net.norm.weight": (3,),
        "net.norm.bias": (3,),
        "net.norm.running_mean": (3,),
        "net.norm.running_var": (3,),
        "net.dense.weight": (5, 3),
        "net.dense.bias": (5,),
    }
    state = {name: generator.standard_normal(shape) for name, shape in shapes.items()}
    return {**state, "net.norm.num_batches_tracked": np.array(7)}


def check_small(state):
    return checked_variables(state, Small(), (4, 4, 2), "small.pth", torch_layer=lambda layer: f"net.{layer}")


def assert_equal_trees(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    chex.assert_trees_all_equal(one, other)


def test_saved_variables_come_back_with_their_types(tmp_path):
    transposed = np.arange(6.0, dtype=np.float32).reshape(2, 3).T
    variables = {"params": {"a": {"kernel": transposed}, "scalar": np.float32(2)}, "batch_stats": {"n": np.arange(3)}}
    save_variables(tmp_path / "weights.safetensors", variables)
    assert set(load_file(tmp_path / "weights.safetensors")) == {"params/a/kernel", "params/scalar", "batch_stats/n"}
    loaded = load_variables(tmp_path / "weights.safetensors")
    assert_equal_trees(loaded, variables)
    assert loaded["batch_stats"]["n"].dtype == variables["batch_stats"]["n"].dtype


def test_the_hash_is_that_of_the_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_pytorch_arrays_become_flax_variables():
    state = small_state()
    variables = check_small(state)
    kernel, dense = variables["params"]["conv"]["kernel"], variables["params"]["dense"]["kernel"]
    chex.assert_shape(kernel, (3, 2, 2, 3))
    assert kernel[2, 1, 0, 1] == np.float32(state["net.conv.weight"][1, 0, 2, 1])
    np.testing.assert_array_equal(dense, state["net.dense.weight"].T.astype(np.float32))
    np.testing.assert_array_equal(variables["batch_stats"]["norm"]["var"], np.float32(state["net.norm.running_var"]))
    chex.assert_shape(Small().apply(variables, np.ones((1, 4, 4, 2), np.float32)), (1, 5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net.norm.bias": None}, r"small.pth does not hold the weights of Small: net.norm.bias is missing"),
        ({"net.dense.weight": np.zeros((7, 3))}, r"net.dense.weight has the shape \[7, 3\], not \[5, 3\]"),
        ({"net.conv.weight": np.zeros((3, 2, 3))}, r"net.conv.weight has the shape \[3, 2, 3\], not \[3, 2, 3, 2\]"),
        ({"aux.bias": np.zeros(3)}, r"that network has no aux.bias"),
    ],
)
def test_the_first_array_that_is_not_as_it_should_be_is_named(change, message):
    state = {name: array for name, array in {**small_state(), **change}.items() if array is not None}
    with pytest.raises(UserError, match=message):
        check_small(state)


def test_inception_reads_safetensors_with_either_naming(tmp_path):
    shapes = json.loads(str(np.load(FOLDER / "inception.npz")["shapes"]))
    state = {name: np.resize(np.arange(997, dtype=np.float16), shape) for name, shape in shapes.items()}
    save_file(state, tmp_path / "torch.safetensors")
    variables = inception_variables(tmp_path / "torch.safetensors")
    head = variables["params"]["head"]["kernel"]
    np.testing.assert_array_equal(head, np.float32(state["fc.weight"]).T)
    save_variables(tmp_path / "flax.safetensors", variables)
    assert_equal_trees(inception_variables(tmp_path / "flax.safetensors"), variables)
    for name in ("torch", "flax"):  # some 150 MB
        (tmp_path / f"{name}.safetensors").unlink()


@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_legacy.pth"])
def test_the_weights_of_another_network_are_not_taken_for_inceptions(name):
    message = rf"{name} does not hold the weights of InceptionV3: Conv2d_1a_3x3\.bn\.running_mean is missing"
    with pytest.raises(UserError, match=message):
        inception_variables(FOLDER / name)


def test_a_file_that_is_not_there_or_not_safetensors_is_refused(tmp_path):
    (tmp_path / "notes.safetensors").write_text("no weights here")
    for read in (load_variables, inception_variables):
        with pytest.raises(UserError, match=r"There is no file .*absent.safetensors"):
            read(tmp_path / "absent.safetensors")
        with pytest.raises(UserError, match=r"notes\.safetensors cannot be read as safetensors"):
            read(tmp_path / "notes.safetensors")


def safetensors(header, numbers=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + numbers


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            safetensors({"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)),
            "has w of type F8_E4M3",
        ),
        (safetensors({"w": {"dtype": "odd", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)), "has w of type odd"),
        (safetensors({"w": 3}), "has w of type None"),
        (
            safetensors({"w": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}),
            "cannot be read as saf",
        ),
        (
            safetensors({"w": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}, bytes(4)),
            "cannot be read as safet",
        ),
        ((2**60).to_bytes(8, "little") + b"{}", "it declares a header of 1,152,921,504,606,846,976 bytes"),
        (safetensors(b"[" * 100_000), "cannot be read as safetensors"),
        (safetensors(b"[1]"), "its header is no JSON object"),
        (safetensors(b"\xff\xfe"), "cannot be read as safetensors"),
        (b"", "cannot be read as safetensors"),
        (b"abc", "cannot be read as safetensors"),
    ],
)
def test_a_damaged_or_hostile_safetensors_file_is_one_sentence(tmp_path, content, message):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_safetensors(tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


def test_holes_of_a_sparse_file_are_not_read(tmp_path):
    with (tmp_path / "w.safetensors").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match="would take 1,048,576 MB of memory"):
        read_safetensors(tmp_path / "w.safetensors")


def test_efficientnet_is_converted_from_pytorch_and_its_hash_printed(tmp_path, capsys, monkeypatch):
    shapes = json.loads(str(np.load(FOLDER / "efficientnet.npz")["shapes"]))
    state = random_state(shapes)
    fill_layout(FOLDER / "efficientnet_layout.pth", state.values(), tmp_path / "weights.pth")
    target = tmp_path / "weights.safetensors"
    arguments = ["efficientnet_lite0", "--file", str(tmp_path / "weights.pth"), "--to", str(target)]
    monkeypatch.setattr("sys.argv", ["rebuild_weights", *arguments])
    rebuild_weights.main()
    assert file_sha256(target) in capsys.readouterr().out
    converted, shipped = flatten_dict(load_variables(target), sep="/"), flatten_dict(load_variables(SHIPPED), sep="/")
    assert {name: array.shape for name, array in converted.items()} == {n: a.shape for n, a in shipped.items()}
    projection = state["_blocks.3._project_conv.weight"][:, :, 0, 0]
    np.testing.assert_array_equal(converted["params/blocks_3/project/kernel"][0, 0], projection.T)


def test_rebuilding_from_another_file_ends_with_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["rebuild_weights", "efficientnet_lite0", "--file", str(FOLDER / "torch_zip.pth")])
    with pytest.raises(SystemExit) as stopped:
        rebuild_weights.main()
    assert stopped.value.code == 2
    assert "does not hold the weights of EfficientNetLite0" in capsys.readouterr().err
