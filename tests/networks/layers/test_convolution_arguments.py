"""Every argument of Flax's convolutions is taken, or refused: the same parameters, values and gradients."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.networks.layers.convolution.conv import Conv, ConvTranspose

LAYERS = {"conv": (Conv, nn.Conv), "transpose": (ConvTranspose, nn.ConvTranspose)}
# name, shape of the inputs, arguments
CASES = [
    ("conv", (2, 7, 3), {"kernel_size": 3, "padding": "CAUSAL", "kernel_dilation": 2}),
    ("conv", (2, 6, 7, 4), {"kernel_size": (3, 2), "padding": "CIRCULAR", "strides": 2, "feature_group_count": 2}),
    ("conv", (6, 5, 3), {"kernel_size": (3, 2), "padding": "REFLECT", "strides": (1, 2)}),
    ("conv", (2, 3, 6, 5, 3), {"kernel_size": (3, 3), "strides": None, "padding": "SAME_LOWER"}),
    ("conv", (2, 6, 5, 3), {"kernel_size": (2, 3), "input_dilation": (2, 1), "padding": [1, (0, 5)]}),
    ("conv", (2, 4, 5, 3, 2), {"kernel_size": (2, 1, 3), "strides": (1, 2, 1), "padding": 1}),
    ("conv", (2, 6, 6, 3), {"kernel_size": (3, 3), "padding": 4, "strides": 2, "precision": "highest"}),
    ("conv", (2, 6, 6, 3), {"kernel_size": (3, 3), "padding": ((-1, 2), (4, -2)), "strides": (2, 1)}),
    ("conv", (0, 6, 6, 3), {"kernel_size": (3, 3)}),
    ("conv", (2, 2, 6, 3), {"kernel_size": (3, 3), "padding": "VALID"}),
    ("transpose", (2, 5, 3), {"kernel_size": 3, "padding": "CIRCULAR", "strides": 2}),
    ("transpose", (2, 3, 4, 3), {"kernel_size": (4, 3), "padding": "CIRCULAR", "strides": 2, "transpose_kernel": True}),
    ("transpose", (3, 4, 3), {"kernel_size": (2, 3), "strides": (3, 1), "kernel_dilation": (1, 2)}),
    ("transpose", (2, 3, 4, 3), {"kernel_size": (2, 3), "padding": [(3, 0), 1], "strides": None}),
    ("transpose", (2, 2, 3, 2, 3), {"kernel_size": (2, 3, 1), "padding": "VALID", "strides": (2, 1, 2)}),
    ("transpose", (2, 0, 4, 3), {"kernel_size": (3, 3), "padding": "SAME", "strides": (2, 2)}),
]


def outputs_and_gradients(layer, params, inputs):
    @jax.jit
    def run(params, inputs):
        outputs, pull = jax.vjp(lambda params, inputs: layer.apply({"params": params}, inputs), params, inputs)
        return outputs, pull(jnp.cos(jnp.arange(outputs.size, dtype=outputs.dtype)).reshape(outputs.shape))

    return run(params, inputs)


def check_against_flax(name, shape, arguments, seed=0, fast=None):
    """Values and gradients in float64; ours in float32 against those."""
    ours, theirs = LAYERS[name]
    arguments = {"features": 4, "bias_init": nn.initializers.normal(), **arguments}
    ours, theirs = ours(**arguments, fast=fast), theirs(**arguments)
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=shape)
    params = ours.init(jax.random.key(seed), jnp.asarray(inputs, jnp.float32))["params"]
    flax_params = jax.eval_shape(theirs.init, jax.random.key(seed), jnp.asarray(inputs, jnp.float32))["params"]
    chex.assert_trees_all_equal_shapes_and_dtypes(params, flax_params)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, np.float64)), params)
        found, expected = (outputs_and_gradients(layer, wide, jnp.asarray(inputs)) for layer in (ours, theirs))
        chex.assert_trees_all_equal_shapes(found, expected)
        chex.assert_trees_all_close(found, expected, rtol=1e-10, atol=1e-10)
    single = outputs_and_gradients(ours, params, jnp.asarray(inputs, jnp.float32))
    chex.assert_trees_all_close(jax.tree.map(np.float64, single), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "shape", "arguments"), CASES, ids=str)
def test_arguments_mean_what_they_mean_in_flax(name, shape, arguments):
    check_against_flax(name, shape, arguments)


def random_case(seed):
    """Any arguments that go together, of maps with a few numbers."""
    random = np.random.default_rng(seed)
    name = ("conv", "transpose")[random.integers(2)]
    rank = int(random.choice([1, 2, 2, 2, 2, 3]))

    def numbers(low, high):
        return tuple(int(x) for x in random.integers(low, high + 1, rank))

    def maybe(share):
        return random.random() < share

    groups = 2 if name == "conv" and maybe(0.3) else 1
    channels = groups * int(random.integers(1, 7))
    kernel_size = numbers(1, 4)
    arguments = {"features": groups * int(random.integers(1, 7)), "kernel_size": kernel_size}
    if rank == 1 and maybe(0.5):
        arguments["kernel_size"] = kernel_size[0]
    arguments["strides"] = [None, 2, numbers(1, 3)][random.integers(3)]
    arguments["kernel_dilation"] = [1, 1, None, 2, numbers(1, 2)][random.integers(5)]
    paddings = [
        "SAME",
        "VALID",
        "CIRCULAR",
        0,
        2,
        numbers(0, 5),
        tuple(zip(numbers(-1, 5), numbers(-1, 5), strict=True)),
    ]
    if name == "conv":
        arguments["feature_group_count"] = groups
        arguments["input_dilation"] = [1, 1, None, 2, numbers(1, 2)][random.integers(5)]
        paddings += ["REFLECT", "SAME_LOWER", "CAUSAL" if rank == 1 else "SAME"]
        if set(np.atleast_1d(arguments["input_dilation"] or 1)) != {1}:
            paddings = [padding for padding in paddings if not isinstance(padding, str)]
    elif maybe(0.3):
        arguments["transpose_kernel"] = True
    arguments["padding"] = paddings[random.integers(len(paddings))]
    arguments["use_bias"] = not maybe(0.2)
    sizes = numbers(5 if arguments["padding"] in ("CIRCULAR", "REFLECT") else 1, 9)
    batch = [(2,), (), (2, 2), (1,), (0,)][random.choice(5, p=[0.6, 0.1, 0.1, 0.1, 0.1])]
    if (name, arguments["padding"], batch) == ("transpose", "CIRCULAR", (0,)):
        batch = (2,)  # Flax itself divides by zero there
    return name, (*batch, *sizes, channels), arguments


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 60, 6))
def test_random_arguments_mean_what_they_mean_in_flax(start):
    for seed in range(start, start + 6):
        case = random_case(seed)
        try:
            check_against_flax(*case, seed=seed)
        except Exception as error:
            raise AssertionError(f"{seed}: {case}") from error


def test_a_mask_and_the_type_of_the_parameters_are_flaxs():
    mask = np.tril(np.ones((3, 3)))[..., None, None] * np.ones((3, 3, 2, 4))
    inputs = jax.random.normal(jax.random.key(0), (1, 5, 5, 2), jnp.bfloat16)
    arguments = {"features": 4, "kernel_size": (3, 3), "mask": mask, "param_dtype": jnp.bfloat16, "dtype": jnp.float32}
    layers = Conv(**arguments), nn.Conv(**arguments)
    variables = [layer.init(jax.random.key(1), inputs) for layer in layers]
    chex.assert_trees_all_equal(*variables)
    outputs = [layer.apply(variables[0], inputs) for layer in layers]
    assert outputs[0].dtype == jnp.float32
    chex.assert_trees_all_close(*outputs, atol=1e-5)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("conv", {"padding": "FULL"}, "no padding 'FULL': use SAME, VALID, SAME_LOWER, CIRCULAR, REFLECT, CAUSAL"),
        ("conv", {"padding": "CAUSAL"}, "one axis, not of 2"),
        ("conv", {"padding": (1, 2, 3)}, "for each of 2 axes"),
        ("conv", {"padding": ((1, 2, 3), 1)}, "for each of 2 axes"),
        ("conv", {"strides": 0}, "at least 1"),
        ("conv", {"strides": (1, 2, 3)}, "each of 2 axes"),
        ("conv", {"kernel_dilation": (0, 1)}, "at least 1"),
        ("conv", {"feature_group_count": 2}, "3 channels and 4 features do not make 2 groups"),
        ("conv", {"input_dilation": 2}, "SAME is not defined for dilated inputs"),
        ("conv", {"mask": np.ones((3, 3))}, "the shape of the kernel"),
        ("conv", {"resample": "up", "kernel_dilation": 2}, "and nothing else"),
        ("conv", {"kernel_size": (3, 3, 3, 3)}, "no 4 axes"),
        ("transpose", {"padding": "REFLECT"}, "no padding 'REFLECT': use SAME, VALID, CIRCULAR"),
        ("transpose", {"padding": "SAME_LOWER"}, "no padding"),
    ],
)
def test_what_has_no_meaning_is_refused(name, arguments, message, fast):
    layer = LAYERS[name][0](**{"features": 4, "kernel_size": (3, 3), **arguments}, fast=fast)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((2, 6, 6, 3)))


def test_padding_is_named_in_any_case():
    inputs = jnp.ones((1, 5, 5, 2))
    shapes = [
        jax.eval_shape(Conv(1, (3, 3), padding=padding).init_with_output, jax.random.key(0), inputs)[0].shape
        for padding in ("same", "VALID", "valid")
    ]
    assert shapes == [(1, 5, 5, 1), (1, 3, 3, 1), (1, 3, 3, 1)]
