"""Sound at another loudness."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.data.mu_law import mu_law_decode, mu_law_encode
from jaxgen.models.autoregressive.sound_augmentation import random_loudness

SOUND = mu_law_encode(0.3 * np.sin(np.arange(4_000) / 9) * np.linspace(0.01, 1, 4_000)).astype(np.int32)
KEYS = jax.random.split(jax.random.key(0), 200)


def changed(probability, **options):
    return np.asarray(jax.jit(jax.vmap(random_loudness(probability, **options), (0, None)))(KEYS, jnp.asarray(SOUND)))


def factors(sounds):
    """By which the amplitudes of each are multiplied, by least squares."""
    before = mu_law_decode(SOUND)
    return mu_law_decode(sounds) @ before / (before @ before)


def test_as_many_sounds_are_changed_as_it_says_and_the_others_not_at_all():
    same = np.all(changed(0.3) == SOUND, axis=1)
    assert 0.6 < same.mean() < 0.8
    assert np.all(changed(0.0) == SOUND)


def test_factors_are_even_in_their_logarithm_and_half_of_them_negative():
    found = factors(changed(1.0, quietest=0.1, loudest=1.0))
    assert 0.4 < np.mean(found < 0) < 0.6
    logs = np.sort(np.log10(np.abs(found)))
    np.testing.assert_allclose(logs, np.linspace(-1, 0, len(logs)), atol=0.12)


def test_what_is_changed_is_the_same_sound_and_has_no_gaps_between_its_levels():
    sounds = changed(1.0, quietest=0.2, loudest=0.2)
    before = mu_law_decode(SOUND)
    for sound, factor in zip(sounds[:20], factors(sounds), strict=False):
        after = mu_law_decode(sound)
        assert np.mean((after - factor * before) ** 2) < 2e-3 * np.mean(after**2)
        levels = np.unique(sound)
        assert np.all(np.diff(levels) == 1)
