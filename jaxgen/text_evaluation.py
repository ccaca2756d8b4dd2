"""What `jaxgen evaluate` says of a model of text: how well it predicts, and how varied its texts are."""

from collections.abc import Sequence

import numpy as np

from jaxgen.data.dataset import Dataset, length, read_examples
from jaxgen.data.vocabulary import Vocabulary, vocabulary_from_json
from jaxgen.metrics.likelihood import bits_per_character, perplexity
from jaxgen.metrics.text import distinct_n, self_bleu
from jaxgen.opened_run import Run
from jaxgen.training.sampling import draw_samples
from jaxgen.training.state import TrainState

TEXT = "text"
DIVERSITY = "diversity"
METRICS = (TEXT, DIVERSITY)
LOSS = "held_out/autoregressive/loss"
MOST_TEXTS = 500
"""As many as Zhu et al. 2018 compare."""


def prediction_values(data: Dataset, nats_per_token: float) -> dict[str, float]:
    """Bits per character and perplexity of the held-out text, from the mean of -log p over its tokens.

    The characters are those of the predicted tokens, decoded, so that vocabularies can be compared with each other.
    """
    targets = read_examples(data.test, 0, length(data.test))["tokens"][:, 1:].reshape(-1)
    characters = len(_vocabulary(data).decode(targets))
    nats = nats_per_token * targets.size
    return {
        f"{TEXT}/bits_per_character": float(bits_per_character(nats, characters)),
        f"{TEXT}/perplexity": float(perplexity(nats, targets.size)),
        f"{TEXT}/characters": float(characters),
    }


def diversity_values(run: Run, state: TrainState, data: Dataset, count: int, seed: int) -> dict[str, float]:
    """Distinct 1-, 2- and 3-grams of words and self-BLEU of samples, and of as many held-out texts of that length."""
    vocabulary, count = _vocabulary(data), min(count, MOST_TEXTS)
    samples = draw_samples(run.model, state, num=count, seed=seed)
    tokens = read_examples(data.test, 0, length(data.test))["tokens"][:, 1:].reshape(-1)
    size = samples.shape[1]
    starts = np.random.default_rng(seed).choice(len(tokens) - size + 1, count, replace=False)
    held_out = [tokens[start : start + size] for start in starts]
    texts = {"": [vocabulary.decode(row) for row in samples], "held_out_": [vocabulary.decode(row) for row in held_out]}
    return {
        f"{DIVERSITY}/{prefix}{name}": value
        for prefix, of in texts.items()
        for name, value in _diversity([text.split() for text in of]).items()
    }


def _diversity(texts: Sequence[Sequence[str]]) -> dict[str, float]:
    return {**{f"distinct_{n}": distinct_n(texts, n) for n in (1, 2, 3)}, "self_bleu": self_bleu(texts)}


def _vocabulary(data: Dataset) -> Vocabulary:
    return vocabulary_from_json(data.assets["vocabulary"])
