"""CycleGAN: its losses by hand, whose gradient trains which network, and the buffer of earlier images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.models.image_to_image.cycle_gan import CycleGAN
from jaxgen.models.image_to_image.image_buffer import empty_buffer, exchange
from jaxgen.training.parallel import device_mesh, per_device, replicate, split_over_devices

KEY = jax.random.key(1)
RNG = np.random.default_rng(0)
BATCH = {
    "source": jnp.asarray(RNG.uniform(-1, 1, (4, 12, 12, 1)), jnp.float32),
    "image": jnp.asarray(RNG.uniform(-1, 1, (4, 12, 12, 1)), jnp.float32),
    "index": jnp.arange(4, dtype=jnp.uint32),
}
SCALES = {"to_target": 0.9, "to_source": 0.7, "judge_of_target": 0.5, "judge_of_source": -0.3}


class Scale(nn.Module):
    """w times the image."""

    @nn.compact
    def __call__(self, images, *, train):
        return self.param("w", nn.initializers.ones, ()) * images


class Judge(nn.Module):
    """w times the mean of each half of the image."""

    @nn.compact
    def __call__(self, images, *, train):
        halves = jnp.mean(images.reshape(len(images), 2, -1), -1)
        return self.param("w", nn.initializers.ones, ()) * halves


def started(**options):
    options = {"generator_optimizer": optax.sgd(0.1), "discriminator_optimizer": optax.sgd(0.2), **options}
    model = CycleGAN(Scale(), Judge(), buffer_size=0, **options).model()
    state = model.init(jax.random.key(0), BATCH)
    return model, state.replace(params={name: {"w": jnp.asarray(value)} for name, value in SCALES.items()})


def by_hand(scales, kept=1.0):
    """The generators' loss, with `kept` of both weights, and the discriminators' (targets, sources)."""
    x, y = BATCH["source"], BATCH["image"]
    g, f, dy, dx = (scales[name] for name in SCALES)

    def judge(w, images):
        return w * jnp.mean(images.reshape(4, 2, -1), -1)

    generators = jnp.mean((judge(dy, g * x) - 1) ** 2) + jnp.mean((judge(dx, f * y) - 1) ** 2)
    generators += kept * 10 * (jnp.mean(jnp.abs(f * g * x - x)) + jnp.mean(jnp.abs(g * f * y - y)))
    generators += kept * 5 * (jnp.mean(jnp.abs(g * y - y)) + jnp.mean(jnp.abs(f * x - x)))

    def judged(w, real, generated):
        return 0.5 * jnp.mean((judge(w, real) - 1) ** 2) + 0.5 * jnp.mean(judge(w, generated) ** 2)

    return generators, judged(dy, y, g * x), judged(dx, x, f * y)


@pytest.mark.parametrize(("step", "kept"), [(0, 0.1), (4, 0.1**0.5), (8, 1.0), (20, 1.0)])
def test_weights_rise_from_a_tenth(step, kept):
    model, state = started(weight_rise_steps=8)
    state = state.replace(step=jnp.asarray(step, state.step.dtype))
    _, metrics = jax.jit(model.train_step)(state, BATCH, KEY)
    total, weight = metrics["generator/loss"]
    expected = by_hand({name: jnp.asarray(value) for name, value in SCALES.items()}, kept)[0]
    assert float(total / weight) == pytest.approx(float(expected), rel=1e-4)


def test_each_network_steps_down_its_own_loss_of_the_paper():
    model, state = started()
    after, metrics = jax.jit(model.train_step)(state, BATCH, KEY)
    scales = {name: jnp.asarray(value) for name, value in SCALES.items()}
    slopes = jax.jacobian(by_hand)(scales)
    which = {"to_target": (0, 0.1), "to_source": (0, 0.1), "judge_of_target": (1, 0.2), "judge_of_source": (2, 0.2)}
    for name, (loss, rate) in which.items():
        expected = SCALES[name] - rate * float(slopes[loss][name])
        assert float(after.params[name]["w"]) == pytest.approx(expected, rel=1e-4), name
    values = {name: float(total / weight) for name, (total, weight) in metrics.items()}
    losses = by_hand(scales)
    assert values["generator/loss"] == pytest.approx(float(losses[0]), rel=1e-4)
    assert values["discriminator/loss"] == pytest.approx(float(0.5 * (losses[1] + losses[2])), rel=1e-4)


def test_translations_are_compared_with_their_counterparts_and_with_nothing_done():
    model, state = started()
    metrics = jax.jit(model.eval_step)(state, BATCH, KEY)
    values = {name: float(total / weight) for name, (total, weight) in metrics.items()}
    x, y = BATCH["source"], BATCH["image"]
    assert values["generator/l1"] == pytest.approx(float(jnp.mean(jnp.abs(0.9 * x - y))), rel=1e-5)
    assert values["generator/l1_back"] == pytest.approx(float(jnp.mean(jnp.abs(0.7 * y - x))), rel=1e-5)
    assert values["baseline/l1"] == pytest.approx(float(jnp.mean(jnp.abs(x - y))), rel=1e-5)
    assert len({values[name] for name in ("generator/ssim", "generator/ssim_back", "baseline/ssim")}) == 3
    tiles = model.mapping.compare(state, KEY, BATCH)
    np.testing.assert_allclose(tiles, jnp.stack([x, 0.9 * x, y, 0.7 * y], 1), rtol=1e-6)


# ---------------------------------------------------------------- the buffer


def numbered(first, count):
    return jnp.arange(first, first + count, dtype=jnp.float32)[:, None, None, None]


def test_the_buffer_fills_up_and_then_changes_half_of_what_is_seen():
    buffer = empty_buffer(50, (1, 1, 1))
    step, all_seen = jax.jit(exchange), []
    for i in range(60):
        new = numbered(10 * i, 10)
        buffer, seen = step(buffer, jax.random.fold_in(KEY, i), new)
        if i < 5:
            np.testing.assert_array_equal(seen, new)
            assert int(buffer["count"]) == 10 * (i + 1)
        all_seen.append(np.ravel(seen) - np.ravel(new))
    older = np.concatenate(all_seen[5:])
    assert np.mean(older < 0) == pytest.approx(0.5, abs=0.07)
    assert older.max() == 0
    # An image that is put in stays for 100 more on average: each is replaced with probability 1 / 2 of 1 / 50.
    assert -older[older < 0].mean() == pytest.approx(100, rel=0.3)
    assert len(np.unique(buffer["images"])) == 50


def test_the_buffer_is_the_same_on_1_2_and_8_devices():
    images = jax.random.normal(KEY, (16, 3, 3, 1))
    start = {"images": jax.random.normal(jax.random.key(9), (20, 3, 3, 1)), "count": jnp.asarray(12, jnp.int32)}
    expected = None
    for devices in (1, 2, 8):
        mesh = device_mesh(devices)
        run = per_device(exchange, mesh, (False, False, True), replicated_output=False)
        rows = split_over_devices(mesh, images.reshape(devices, -1, 3, 3, 1))
        buffer, seen = run(*replicate(mesh, (start, KEY)), rows)
        result = np.asarray(buffer["images"])[-1], np.asarray(seen).reshape(16, 3, 3, 1)
        expected = expected or result
        for ours, theirs in zip(result, expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
