"""WaveNet against PyTorch's dilated convolutions, its causality and receptive field, its condition, and its cache."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from helpers import REFERENCES

from jaxgen.data.mu_law import mu_law_decode, mu_law_encode
from jaxgen.experiments import spoken_wavenet
from jaxgen.networks.linear_prediction import LinearPredictor
from jaxgen.networks.wavenet import Spoken, WaveNet

KEY = jax.random.key(0)
SIZES = {"num_tokens": 9, "width": 6, "gate_width": 5, "skip_width": 7}
DILATIONS = (1, 2, 4, 1, 2)
CONDITIONED = {"num_classes": 4, "num_characters": 5, "condition_width": 3}


def spoken(batch=2, **changes):
    """Clips of 20 samples from their beginning, one with 2 characters, the others with 4."""
    characters = np.tile([[1, 2, 3, 4]], (batch, 1))
    characters[0, 2:] = 0
    values = {
        "label": np.arange(batch) % 4,
        "characters": characters,
        "start": np.zeros(batch, int),
        "length": np.full(batch, 20),
    }
    return Spoken(**{name: jnp.asarray(value) for name, value in (values | changes).items()})


def initial(network, *inputs):
    return jax.jit(functools.partial(network.init, train=False))(KEY, *inputs)


READINGS = {
    "embedded": {},
    "amplitudes": {"amplitudes": True},
    "relative": {"predictor": LinearPredictor(order=3), "num_outputs": 6},
}


@functools.cache
def sure_network(reading="embedded", conditioned=True):
    """A network, its random weights twice as large, and its compiled whole pass."""
    options = READINGS[reading] | (CONDITIONED if conditioned else {})
    network = WaveNet(**SIZES, dilations=DILATIONS, **options)
    variables = initial(network, jnp.zeros((2, 5), jnp.int32), *((spoken(),) if conditioned else ()))
    variables = jax.tree.map(lambda x: 2 * x, variables)
    return network, variables, jax.jit(functools.partial(network.apply, variables, train=False))


def test_outputs_and_gradients_are_those_of_dilated_convolutions_of_pytorch(monkeypatch):
    """With the condition of each sample given, in place of one made from characters."""
    arrays = dict(np.load(REFERENCES / "wavenet.npz"))
    params = unflatten_dict(
        {tuple(name.split("/")[1:]): jnp.asarray(x) for name, x in arrays.items() if name.startswith("params/")}
    )
    network = WaveNet(**SIZES, dilations=DILATIONS, **CONDITIONED)
    made = initial(network, arrays["tokens"], spoken())["params"]
    params |= {name: made[name] for name in ("words", "characters", "neighbours")}
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, made)

    def outputs(conditions):
        monkeypatch.setattr("jaxgen.networks.wavenet._spread", lambda *_: conditions)
        outputs = network.apply({"params": params}, arrays["tokens"], spoken(), train=False)
        return jnp.sum(outputs**2), outputs

    gradient, found = jax.jit(jax.grad(outputs, has_aux=True))(jnp.asarray(arrays["conditions"]))
    np.testing.assert_allclose(found, arrays["outputs"], atol=2e-6)
    np.testing.assert_allclose(gradient, arrays["gradient"], atol=1e-5)


@pytest.mark.parametrize("dilations", [(1, 2, 4), pytest.param((1, 2, 1, 2), marks=pytest.mark.slow)])
def test_an_output_depends_by_gradient_on_just_the_inputs_of_its_receptive_field(dilations):
    network = WaveNet(**SIZES, dilations=dilations, amplitudes=True)
    inputs = jax.random.uniform(KEY, (1, 16), minval=0.0, maxval=8.0)  # read as numbers, so that there is a gradient
    variables = initial(network, inputs)
    outputs = functools.partial(network.apply, variables, train=False)
    gradients = jax.jit(jax.grad(lambda x, place: jnp.sum(outputs(x)[0, place] ** 2)))

    assert network.receptive_field == 1 + sum(dilations)
    for place in (3, 12):
        seen = np.flatnonzero(np.asarray(gradients(inputs, place)[0]))
        np.testing.assert_array_equal(seen, np.arange(max(0, place + 1 - network.receptive_field), place + 1))


def test_beside_a_predictor_later_samples_change_nothing():
    network = WaveNet(**SIZES, dilations=(1, 2), predictor=LinearPredictor(order=3), num_outputs=6)
    inputs = jax.random.uniform(KEY, (1, 16), minval=0.0, maxval=8.0)
    variables = initial(network, inputs)
    outputs = functools.partial(network.apply, variables, train=False)
    seen = np.asarray(jax.jit(jax.grad(lambda x: jnp.sum(outputs(x)[0, 9] ** 2)))(inputs)[0])
    np.testing.assert_array_equal(seen[10:], 0)
    assert np.all(seen[:10] != 0)


def test_beside_a_predictor_components_are_said_relative_to_what_it_says():
    """With outputs of 0, at a loudness and at a third of it: means and scales a third as large."""
    predictor = LinearPredictor(order=3)
    network = WaveNet(256, 6, 4, 3, 5, (1, 2), predictor=predictor)
    codes = mu_law_encode(np.asarray([[0.6], [0.2]]) * np.sin(np.arange(40) ** 1.5 / 9))
    variables = jax.tree.map(jnp.zeros_like, initial(network, codes))
    means, log_scales = np.split(np.asarray(network.apply(variables, codes, train=False)), 3, -1)[1:]
    ahead = predictor.predict(jnp.asarray(mu_law_decode(codes)))
    offsets = np.asarray(ahead.scale)[..., None] * [-0.5, 0.5]
    np.testing.assert_allclose(means, np.asarray(ahead.sample)[..., None] + offsets, atol=1e-4)
    np.testing.assert_allclose(log_scales, np.log(ahead.scale)[..., None] + [-2.0, 0.7], atol=1e-3)
    np.testing.assert_allclose(means[0, 30:] / 3, means[1, 30:], atol=0.01)


def test_the_default_looks_back_at_a_quarter_of_a_second():
    assert WaveNet().receptive_field == 2 * 1023 + 1
    assert WaveNet().receptive_field / 8000 == pytest.approx(0.256, abs=1e-3)


def test_the_full_preset_has_the_parameters_of_its_table():
    """30 layers of 512 channels, 2 x 256 gated and 256 skipped; 64 numbers of condition, 153 words, 27 characters."""
    config = spoken_wavenet.EXPERIMENT.presets["full"]
    network = spoken_wavenet.build_network(config, 153, 27)
    condition = Spoken(*(jax.ShapeDtypeStruct(shape, jnp.int32) for shape in ((1,), (1, 17), (1,), (1,))))
    tokens = jax.ShapeDtypeStruct((1, 5), jnp.int32)
    params = jax.eval_shape(functools.partial(network.init, train=False), KEY, tokens, condition)
    layer = (2 * 512 + 64) * 512 + 512 + 256 * (512 + 256) + 512 + 256
    last = (2 * 512 + 64) * 512 + 512 + 256 * 256 + 256
    outside = 2 * 512 + (256 * 256 + 256) + (256 * 30 + 30) + 64 * (153 + 27) + 3 * 64 * 64 + 64
    assert sum(x.size for x in jax.tree.leaves(params)) == 29 * layer + last + outside
    assert network.receptive_field == 3 * 1023 + 1


@pytest.mark.parametrize(
    ("reading", "conditioned"),
    [
        ("embedded", True),
        ("relative", True),
        pytest.param("embedded", False, marks=pytest.mark.slow),
        pytest.param("amplitudes", True, marks=pytest.mark.slow),
        pytest.param("amplitudes", False, marks=pytest.mark.slow),
    ],
)
def test_steps_by_a_cache_give_what_one_pass_over_all_samples_does(reading, conditioned):
    """Over 30 samples, where the network looks back at 11."""
    network, variables, whole = sure_network(reading, conditioned)
    condition = (spoken(start=np.asarray([0, 3])),) if conditioned else ()
    tokens = jax.random.randint(KEY, (2, 30), 0, 9)
    expected = whole(tokens, *condition)
    cache = network.apply(variables, 2, *condition, method="start")
    step = jax.jit(lambda cache, t, x: network.apply(variables, cache, x, t, *condition, method="step"))
    for t in range(30):
        cache, outputs = step(cache, jnp.asarray(t), tokens[:, t])
        np.testing.assert_allclose(outputs, expected[:, t], atol=2e-5)
    assert np.std(expected) > 0.1


# ---------------------------------------------------------------- what is said


def outputs_of(condition, length=20):
    return np.asarray(sure_network()[2](jnp.zeros((2, length), jnp.int32), condition))


def test_the_word_and_each_character_change_what_is_predicted():
    before = outputs_of(spoken())
    assert np.abs(before - outputs_of(spoken(label=jnp.asarray([0, 2]))))[1].max(-1).min() > 1e-3
    assert np.abs(before - outputs_of(spoken(label=jnp.asarray([0, -1]))))[1].max(-1).min() > 1e-3
    for place in range(4):
        changed = spoken().characters.at[1, place].set(5)
        differences = np.abs(before - outputs_of(spoken(characters=changed)))
        assert differences[0].max() == 0
        heard = np.flatnonzero(differences[1].max(-1) > 1e-6)
        # A character is in the middle of its 5 of 20 samples; it, its two neighbors, and the line to the next middle.
        first = max(0, np.ceil(5 * (place - 2) + 2.5 - 0.5))
        assert first <= heard.min() <= first + 1
    assert heard.min() >= 7  # the last character says nothing of the beginning


def test_characters_are_spread_evenly_over_the_clip_wherever_a_window_begins():
    """Compared from where the window that begins later sees as far back as the other."""
    tokens, start, seen = jax.random.randint(KEY, (2, 20), 0, 9), 6, sum(DILATIONS)
    outputs = sure_network()[2]
    whole = outputs(tokens, spoken())[:, start + seen :]
    part = outputs(tokens[:, start:], spoken(start=np.full(2, start)))[:, seen:]
    np.testing.assert_allclose(part, whole, atol=1e-5)
    assert np.abs(outputs(tokens[:, start:], spoken())[:, seen:] - whole).max() > 1e-3


def test_padding_after_the_characters_changes_nothing():
    longer = jnp.pad(spoken().characters, ((0, 0), (0, 3)))
    np.testing.assert_allclose(outputs_of(spoken()), outputs_of(spoken(characters=longer)), atol=1e-6)


# ---------------------------------------------------------------- dropout


def test_dropout_leaves_out_whole_channels_and_belongs_to_the_example():
    network = WaveNet(**SIZES, dilations=DILATIONS, dropout=0.5, **CONDITIONED)
    tokens = jax.random.randint(KEY, (3, 12), 0, 9)
    variables = initial(network, tokens, spoken(3))
    keys = jax.random.split(jax.random.key(1), 3)

    @jax.jit
    def trained(tokens, condition, keys):
        return network.apply(variables, tokens, condition, train=True, dropout_keys=keys)

    all_three = trained(tokens, spoken(3), keys)
    alone = trained(tokens[1:2], jax.tree.map(lambda x: x[1:2], spoken(3)), keys[1:2])
    np.testing.assert_allclose(alone, all_three[1:2], atol=1e-6)
    assert np.abs(all_three - trained(tokens, spoken(3), keys[::-1])).max() > 1e-3
    # Constant tokens give constant outputs after the receptive field: masks do not differ from sample to sample.
    still = spoken(3, label=np.full(3, -1), characters=np.ones((3, 1), int))
    outputs = trained(jnp.zeros((3, 20), jnp.int32), still, keys)
    np.testing.assert_allclose(outputs[:, -8:], np.repeat(outputs[:, -1:], 8, 1), atol=1e-6)
