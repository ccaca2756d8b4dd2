"""StyleGAN2's layers against explicit computations and SciPy, its networks against the published counts."""

import math

import chex
import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.signal
from jax.test_util import check_grads

from jaxgen.core.errors import UserError
from jaxgen.networks.layers import equalized
from jaxgen.networks.layers.equalized import EqualizedConv, EqualizedDense, ModulatedConv, convolve
from jaxgen.networks.layers.resampling import TAPS, smooth, smooth_downsample, smooth_upsample
from jaxgen.networks.stylegan2 import (
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    draw_noise,
    minibatch_deviation,
    noise_shapes,
    num_styles,
)
from jaxgen.training.parallel import device_mesh, per_device, split_over_devices

KEY = jax.random.key(0, impl="unsafe_rbg")  # compiles much faster than the default


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def initialized(network, *inputs, **options):
    return jax.jit(lambda *x: network.init(KEY, *x, **options))(*inputs)


# ---------------------------------------------------------------- filters


def filtered_by_scipy(x, *, gain, pads, up=1, down=1):
    """Zeros between pixels, zeros around, the filter, every `down`-th pixel: along both axes of [B, H, W, C]."""
    taps = np.array(TAPS) / sum(TAPS) * math.sqrt(gain)
    for axis in (1, 2):
        inserted = np.zeros([n * up if i == axis else n for i, n in enumerate(x.shape)])
        inserted[(slice(None),) * axis + (slice(None, None, up),)] = x
        padded = np.pad(inserted, [pads if i == axis else (0, 0) for i in range(4)])
        whole = scipy.signal.upfirdn(taps, padded, 1, 1, axis=axis)
        valid = np.take(whole, np.arange(len(taps) - 1, padded.shape[axis]), axis)
        x = np.take(valid, np.arange(0, valid.shape[axis], down), axis)
    return x


def test_the_filters_are_those_of_upfirdn():
    shape = (2, 6, 8, 3)
    x = normal(1, *shape)
    for pads, gain in (((1, 1), 4.0), ((2, 2), 1.0), ((0, 2), 1.0)):
        np.testing.assert_allclose(smooth(x, pads, gain), filtered_by_scipy(x, gain=gain, pads=pads), atol=1e-5)
    np.testing.assert_allclose(smooth_upsample(x), filtered_by_scipy(x, gain=4.0, pads=(2, 1), up=2), atol=1e-5)
    np.testing.assert_allclose(smooth_downsample(x), filtered_by_scipy(x, gain=1.0, pads=(1, 1), down=2), atol=1e-5)
    # and without intermediate zeros of our own
    taps = np.array(TAPS) / 4
    rows = scipy.signal.upfirdn(taps, x, up=2, axis=1)[:, 1 : 2 * shape[1] + 1]
    both = scipy.signal.upfirdn(taps, rows, up=2, axis=2)[:, :, 1 : 2 * shape[2] + 1]
    np.testing.assert_allclose(smooth_upsample(x), both, atol=1e-5)


def test_the_filter_has_its_own_gradient():
    x = normal(2, 1, 4, 5, 2)
    check_grads(lambda x: jnp.sin(smooth(x, (0, 2), 4.0)), (x,), 2, modes=["rev"], rtol=2e-2, atol=2e-2)


# ---------------------------------------------------------------- convolutions


def correlated(x, kernel):
    """Each output channel the sum over inputs of SciPy's correlations, where the kernel lies inside."""
    return np.stack(
        [
            [
                sum(scipy.signal.correlate2d(image[..., c], kernel[..., c, f], "valid") for c in range(x.shape[-1]))
                for f in range(kernel.shape[-1])
            ]
            for image in x
        ]
    ).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("fast", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_convolutions_that_resample_are_those_of_scipy(fast, monkeypatch):
    monkeypatch.setattr(equalized, "fast_forms_pay", lambda: fast)
    x, kernel = normal(3, 2, 6, 6, 3), normal(4, 3, 3, 3, 4)
    wide = np.zeros((2, 11, 11, 3), np.float32)
    wide[:, ::2, ::2] = x
    around = np.pad(wide, ((0, 0), (2, 2), (2, 2), (0, 0)))
    expected = filtered_by_scipy(correlated(around, kernel), gain=4.0, pads=(1, 1))
    np.testing.assert_allclose(convolve(x, kernel, "up"), expected, atol=1e-4)
    filtered = filtered_by_scipy(x, gain=1.0, pads=(2, 2))
    np.testing.assert_allclose(convolve(x, kernel, "down"), correlated(filtered, kernel)[:, ::2, ::2], atol=1e-4)
    same = correlated(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), kernel)
    np.testing.assert_allclose(convolve(x, kernel), same, atol=1e-4)
    filtered = filtered_by_scipy(x, gain=1.0, pads=(1, 1))
    single = correlated(filtered, kernel[:1, :1])[:, ::2, ::2]
    np.testing.assert_allclose(convolve(x, kernel[:1, :1], "down"), single, atol=1e-4)


def per_example(variables, x, style, *, demodulate, resample):
    """Equations 1 and 3 of the paper as they stand: a kernel for each example, and a convolution for each."""
    params = variables["params"]
    scales = style @ params["style"]["kernel"] / math.sqrt(style.shape[1]) + params["style"]["bias"]
    outputs = []
    for image, scale in zip(x, scales, strict=True):
        kernel = params["kernel"] / math.sqrt(math.prod(params["kernel"].shape[:3])) * scale[:, None]
        if demodulate:
            kernel /= jnp.sqrt(jnp.sum(kernel**2, (0, 1, 2)) + 1e-8)
        outputs.append(convolve(image[None], kernel, resample)[0])
    return jnp.stack(outputs)


@pytest.mark.parametrize(
    ("demodulate", "size", "resample"),
    [
        (True, 3, None),
        pytest.param(True, 3, "up", marks=pytest.mark.slow),
        pytest.param(False, 1, None, marks=pytest.mark.slow),
    ],
)
def test_modulated_convolution_is_one_convolution_for_each_example_and_so_are_its_gradients(demodulate, size, resample):
    layer = ModulatedConv(5, size, demodulate, resample)
    x, style = normal(5, 3, 4, 4, 6), normal(6, 3, 7)
    variables = initialized(layer, x, style)
    explicit = jax.jit(lambda *a: per_example(*a, demodulate=demodulate, resample=resample))
    expected, pull_expected = jax.vjp(explicit, variables, x, style)
    actual, pull = jax.vjp(jax.jit(layer.apply), variables, x, style)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    slope = normal(7, *actual.shape)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4), pull(slope), pull_expected(slope))
    if demodulate and resample is None:  # whatever the style: inputs of variance 1 give outputs of variance 1
        x = normal(8, 3, 64, 64, 6)
        inner = np.asarray(layer.apply(variables, x, 5.0 * style))[:, 1:-1, 1:-1]
        np.testing.assert_allclose(inner.std((1, 2)), 1.0, rtol=0.15)


# ---------------------------------------------------------------- equalized learning rates


def test_equalized_layers_scale_weights_of_variance_one():
    x = normal(9, 4, 50)
    layer = EqualizedDense(300, bias=2.0, rate=0.01)
    params = initialized(layer, x)["params"]
    assert np.std(params["kernel"]) == pytest.approx(100.0, rel=0.02)
    expected = x @ (0.01 / math.sqrt(50) * params["kernel"]) + 0.01 * params["bias"]
    np.testing.assert_allclose(layer.apply({"params": params}, x), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(0.01 * params["bias"], 2.0, rtol=1e-6)
    layer, x = EqualizedConv(40), normal(10, 2, 8, 8, 30)
    params = initialized(layer, x)["params"]
    assert np.std(params["kernel"]) == pytest.approx(1.0, rel=0.02)
    expected = convolve(x, params["kernel"] / math.sqrt(9 * 30))
    np.testing.assert_allclose(layer.apply({"params": params}, x), expected, atol=1e-4)


@pytest.mark.parametrize(("channels", "rate"), [(4, 1.0), (400, 1.0), (400, 0.01)])
def test_a_step_of_adam_moves_what_is_used_by_the_same_share_of_its_size(channels, rate):
    layer, x = EqualizedDense(50, rate=rate), normal(11, 8, channels)
    params = initialized(layer, x)["params"]
    optimizer = optax.adam(0.01)
    grads = jax.grad(lambda params: jnp.sum(layer.apply({"params": params}, x) * normal(12, 8, 50)))(params)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    scale = rate / math.sqrt(channels)  # from what is kept to what is used
    moved, used = np.abs(scale * updates["kernel"]), 1.0 / math.sqrt(channels)
    assert np.median(moved) / used == pytest.approx(0.01 * rate, rel=0.01)


# ---------------------------------------------------------------- minibatch standard deviation


@pytest.mark.parametrize(("batch", "size"), [(8, 4), (6, 3), (2, 2), (1, 1), (21, 3)])
def test_the_deviation_in_the_minibatch_is_a_direct_computation(batch, size):
    x = normal(13, batch, 4, 4, 5)
    actual = np.asarray(minibatch_deviation(x))
    np.testing.assert_array_equal(actual[..., :5], x)
    groups = batch // size
    for i in range(batch):
        members = x[[j for j in range(batch) if j % groups == i % groups]]
        assert len(members) == size
        expected = np.mean(np.sqrt(np.var(members.astype(np.float64), axis=0) + 1e-8))
        np.testing.assert_allclose(actual[i, ..., 5], expected, rtol=1e-5)


def test_the_deviation_in_the_minibatch_does_not_depend_on_the_devices():
    x = normal(14, 8, 4, 4, 3)
    slope = normal(15, 8, 4, 4, 4)
    expected, pull = jax.vjp(minibatch_deviation, x)
    (expected_grads,) = pull(slope)

    def both(x, slope):
        outputs, pull = jax.vjp(minibatch_deviation, x)
        return outputs, pull(slope)[0]

    for devices in (2, 8):
        mesh = device_mesh(devices)
        parts = [split_over_devices(mesh, a.reshape(devices, 8 // devices, *a.shape[1:])) for a in (x, slope)]
        outputs, grads = per_device(both, mesh, (True, True), replicated_output=False)(*parts)
        np.testing.assert_allclose(np.reshape(outputs, expected.shape), expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(np.reshape(grads, x.shape), expected_grads, rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------- networks

# Trainable parameters by the size of map as the authors' programs print them for configuration F: both convolutions and
# the image of a size of the generator; of the discriminator the 1x1 beside the block and its two convolutions.
MAPPING_LAYER = 262_656
GENERATOR_ROWS = {
    4: (2_622_465, 264_195, 8_192),
    **dict.fromkeys((8, 16, 32, 64), (2_622_465, 2_622_465, 264_195)),
    128: (1_442_561, 721_409, 132_099),
    256: (426_369, 213_249, 66_051),
    512: (139_457, 69_761, 33_027),
    1024: (51_297, 25_665, 16_515),
}
FROM_IMAGE = {256: 512, 1024: 128}
DISCRIMINATOR_ROWS = {
    4: (2_364_416, 4_194_816, 513),
    **dict.fromkeys((8, 16, 32, 64), (262_144, 2_359_808, 2_359_808)),
    128: (131_072, 590_080, 1_180_160),
    256: (32_768, 147_584, 295_168),
    512: (8_192, 36_928, 73_856),
    1024: (2_048, 9_248, 18_496),
}
PUBLISHED = {256: (30_034_338, 28_864_129), 1024: (30_370_060, 29_012_513)}


def count(tree):
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_networks_have_the_published_parameters(size):
    shape = (size, size, 3)
    generator = jax.eval_shape(lambda: StyleGAN2Generator(shape).init(KEY, jnp.zeros((1, 512)), train=False))
    discriminator = jax.eval_shape(lambda: StyleGAN2Discriminator(shape).init(KEY, jnp.zeros((1, *shape)), train=True))
    rows = [8 * MAPPING_LAYER, *(sum(row) for side, row in GENERATOR_ROWS.items() if side <= size)]
    assert count(generator) == sum(rows) == PUBLISHED[size][0]
    rows = [FROM_IMAGE[size], *(sum(row) for side, row in DISCRIMINATOR_ROWS.items() if side <= size)]
    assert count(discriminator) == sum(rows) == PUBLISHED[size][1]
    sizes = {}
    for path, leaf in flax.traverse_util.flatten_dict(generator["params"]["synthesis"], sep="/").items():
        layer = path.split("/")[0]
        sizes[layer] = sizes.get(layer, 0) + int(np.prod(leaf.shape))
    expected = [row for side, row in GENERATOR_ROWS.items() if side <= size]
    assert sorted(sizes.values()) == sorted(number for row in expected for number in row)


@pytest.mark.parametrize("size", [16, *(pytest.param(size, marks=pytest.mark.slow) for size in (32, 64, 128, 512))])
def test_every_power_of_two_has_its_maps(size):
    shape = (size, size, 3)
    generator = StyleGAN2Generator(shape, channel_base=1024, channel_max=16, style_size=8, mapping_layers=1)
    noise = jax.eval_shape(lambda: draw_noise(jax.random.split(jax.random.key(0), 2), shape))
    layers = num_styles(shape)
    assert layers == 2 * math.log2(size) - 2
    assert len(noise) == len(noise_shapes(shape)) == layers - 1

    def make(noise):
        variables = generator.init(KEY, jnp.zeros((2, 8)), train=False)
        return generator.apply(variables, jnp.zeros((2, layers, 8)), noise, method="synthesize")

    chex.assert_shape(jax.eval_shape(make, noise), (2, *shape))


@pytest.mark.slow
def test_other_sizes_are_the_middle_of_the_next_power_of_two():
    sizes = {"channel_base": 64, "channel_max": 8}
    shape, whole = (6, 6, 1), (8, 8, 1)
    options = {"style_size": 8, "mapping_layers": 1}
    small, large = (StyleGAN2Generator(s, **sizes, **options) for s in (shape, whole))
    latents = normal(16, 4, 8)
    variables = initialized(large, latents, train=False)
    images = large.apply(variables, latents, train=True)
    np.testing.assert_array_equal(small.apply(variables, latents, train=True), images[:, 1:7, 1:7])
    small, large = (StyleGAN2Discriminator(s, **sizes) for s in (shape, whole))
    edged = np.pad(images[:, 1:7, 1:7], ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    variables = initialized(large, edged, train=False)
    logits = small.apply(variables, images[:, 1:7, 1:7], train=True)
    np.testing.assert_allclose(logits, large.apply(variables, edged, train=True), rtol=1e-5)


@pytest.mark.parametrize("shape", [(32, 16, 3), (4, 4, 3), (2048, 2048, 3)])
def test_sizes_that_cannot_be_made_are_refused(shape):
    with pytest.raises(UserError, match="StyleGAN2 cannot make images"):
        num_styles(shape)


@pytest.mark.slow
def test_the_class_chooses_the_output_and_moves_the_style():
    generator = StyleGAN2Generator((8, 8, 1), 64, 8, style_size=8, mapping_layers=1, num_classes=3)
    latents, labels = np.repeat(normal(17, 1, 8), 3, 0), np.arange(3)
    variables = initialized(generator, latents, labels, train=False)
    styles = generator.apply(variables, latents, labels, method="map")
    assert len(np.unique(np.asarray(styles), axis=0)) == 3
    discriminator = StyleGAN2Discriminator((8, 8, 1), 64, 8, num_classes=3)
    images = np.repeat(normal(18, 1, 8, 8, 1), 3, 0)
    variables = initialized(discriminator, images, labels, train=False)
    logits = discriminator.apply(variables, images, labels, train=True)
    assert len(np.unique(np.asarray(logits))) == 3
    moved = jax.tree.map(jnp.copy, variables)
    moved["params"]["EqualisedDense_1"]["bias"] = jnp.array([0.0, 1.0, 0.0])
    change = discriminator.apply(moved, images, labels, train=True) - logits
    np.testing.assert_allclose(change, [0.0, 1.0, 0.0], atol=1e-6)
