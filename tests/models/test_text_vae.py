"""The VAE of lines: its bound against sums over all lines and integrals over all latents."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data.lines import until_line_end
from jaxgen.experiments import kjv_text_vae
from jaxgen.models.text_vae import TextVAE
from jaxgen.networks.recurrent import RecurrentNetwork
from jaxgen.networks.text_encoder import RecurrentEncoder

KEY = jax.random.key(1)
TOKENS = jnp.asarray([[0, 1, 2, 0, 0], [0, 2, 2, 1, 0], [0, 0, 0, 0, 0]])
BATCH = {"tokens": TOKENS, "weights": until_line_end(TOKENS[:, 1:], 0), "index": jnp.arange(3, dtype=jnp.uint32)}
NETWORK = RecurrentNetwork(3, 6, 1, latent_size=1)


def model_with(**options):
    model = TextVAE(
        RecurrentEncoder(2, 3, 6),
        NETWORK,
        latent_size=1,
        optimizer=optax.adam(0.02),
        line_end=0,
        sample_length=4,
        **options,
    ).model()
    steps = {name: jax.jit(getattr(model, name)) for name in ("init", "train_step", "eval_step")}
    return model._replace(**steps)


@pytest.fixture(scope="module")
def trained():
    """(model, state) after some steps, so that its latents mean something."""
    model = model_with()
    state = model.init(KEY, BATCH)
    for i in range(150):
        state, _ = model.train_step(state, BATCH, jax.random.key(i))
    return model, state


def log_prob(state, tokens, latents):
    """log p(x | z) by the network's logits, in numpy."""
    apply = jax.jit(functools.partial(NETWORK.apply, train=False))
    logits = np.asarray(apply({"params": state.params["text_vae"]["decoder"]}, tokens[:, :-1], latents))
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    picked = np.take_along_axis(log_p, np.asarray(tokens)[:, 1:, None], -1)[..., 0]
    ends = np.asarray(tokens)[:, 1:] == 0
    return np.sum(picked * (np.cumsum(ends, 1) - ends == 0), 1)


def test_the_likelihood_of_lines_adds_up_to_one(trained):
    lines = np.array([(0, *line) for line in itertools.product(range(3), repeat=4)])
    ends = lines[:, 1:] == 0
    inside = np.cumsum(ends, 1) - ends == 0
    lines = lines[np.all((lines[:, 1:] == 0) | inside, 1)]  # one way to fill up each
    total = np.exp(log_prob(trained[1], lines, np.full((len(lines), 1), 0.3, np.float32))).sum()
    assert total == pytest.approx(1.0, rel=1e-5)


def test_the_bound_and_the_estimate_come_to_the_integral_over_latents(trained):
    model, state = trained
    grid = np.linspace(-8, 8, 401)
    everywhere = np.repeat(grid, 3).astype(np.float32)[:, None]
    values = log_prob(state, np.tile(TOKENS, (len(grid), 1)), everywhere).reshape(-1, 3)  # [Z, B]
    prior = np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi)
    exact = np.log(np.trapezoid(np.exp(values) * prior[:, None], grid, axis=0))
    estimate = jax.jit(model.likelihood.log_likelihood, static_argnums=3)(state, KEY, BATCH, 2_000)
    np.testing.assert_allclose(estimate, exact, atol=0.02)
    mean, log_variance = (np.asarray(x)[:, 0] for x in model.latents.posterior(state, TOKENS))
    spread = np.exp(0.5 * log_variance)
    density = np.exp(-0.5 * ((grid[:, None] - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    kl = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance)
    bound = np.trapezoid(values * density, grid, axis=0) - kl
    drawn = [model.eval_step(state, BATCH, jax.random.key(i)) for i in range(300)]
    elbo = np.mean([float(m["text_vae/elbo"][0]) / 3 for m in drawn])
    assert elbo == pytest.approx(bound.mean(), abs=0.03)
    assert np.all(bound <= exact + 1e-6)
    assert float(drawn[0]["text_vae/kl"][0]) / 3 == pytest.approx(kl.mean(), rel=1e-5)


def test_word_dropout_hides_what_came_before_in_training_only():
    """With all words hidden, the loss is that of a decoder that sees line ends alone."""
    hidden, seen = model_with(word_dropout=0.999999), model_with()
    state = hidden.init(KEY, BATCH)
    evaluated = [model.eval_step(state, BATCH, KEY)["text_vae/elbo"][0] for model in (hidden, seen)]
    assert evaluated[0] == evaluated[1]
    only_ends = NETWORK.apply(
        {"params": state.params["text_vae"]["decoder"]}, jnp.zeros((3, 4), int), jnp.zeros((3, 1)), train=False
    )
    nats = optax.softmax_cross_entropy_with_integer_labels(only_ends, TOKENS[:, 1:]) * BATCH["weights"]
    narrow = jax.tree.map(jnp.zeros_like, state.params["text_vae"]["encoder"])
    narrow = {**narrow, "output": {**narrow["output"], "bias": jnp.asarray([0.0, -60.0])}}  # latents of 0
    params = {"text_vae": {**state.params["text_vae"], "encoder": narrow}}
    _, metrics = hidden.train_step(state.replace(params=params), BATCH, KEY)
    assert float(metrics["text_vae/reconstruction"][0]) == pytest.approx(float(nats.sum()), rel=1e-5)


def test_free_bits_are_a_floor_of_what_the_divergence_costs():
    free, plain = model_with(free_bits=5.0), model_with()
    state = free.init(KEY, BATCH)
    loss, kl, reconstruction = (
        float(free.eval_step(state, BATCH, KEY)[f"text_vae/{name}"][0]) / 3 for name in ("loss", "kl", "reconstruction")
    )
    assert kl < 5.0
    assert loss == pytest.approx(reconstruction + 5.0, rel=1e-6)
    assert float(plain.eval_step(state, BATCH, KEY)["text_vae/loss"][0]) / 3 == pytest.approx(
        reconstruction + kl, rel=1e-6
    )


def test_a_trained_model_gives_back_its_lines(trained):
    model, state = trained
    chex.assert_shape(model.latents.decode(state, model.latents.encode(state, TOKENS)), (3, 5))
    rebuilt = model.latents.reconstruct(state, TOKENS)
    right = np.asarray(rebuilt[:, 1:] == TOKENS[:, 1:])
    assert np.mean(right[np.asarray(BATCH["weights"]) > 0]) > 0.7


def test_the_full_preset_has_the_stated_parameters():
    """Twice 6 blocks of width 512 with SwiGLU of 1,368, over 8,000 tokens and 32 latents."""
    vocabulary = {"kind": "characters", "characters": "".join(map(chr, range(0x4E00, 0x4E00 + 8000)))}
    config = kjv_text_vae.EXPERIMENT.presets["full"]
    model = kjv_text_vae.build_model(config, {"vocabulary": vocabulary, "line_end": 0})
    batch = {
        "tokens": jax.ShapeDtypeStruct((2, 97), jnp.int32),
        "weights": jax.ShapeDtypeStruct((2, 96), jnp.float32),
        "index": jax.ShapeDtypeStruct((2,), jnp.uint32),
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(model.init, key, batch)
    jax.eval_shape(model.train_step, state, batch, key)
    block = 512 * 3 * 512 + 512 * 512 + 512 * 2 * 1368 + 1368 * 512 + 2 * 512
    common = 8000 * 512 + 6 * block + 512
    counts = {
        name: sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))
        for name, tree in state.params["text_vae"].items()
    }
    assert counts == {"encoder": common + 512 * 64 + 64, "decoder": common + 32 * 512}
