"""What `jaxgen evaluate` says of a model of text: how well it predicts, and how varied its texts are."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxgen.core.state import TrainState
from jaxgen.data.dataset import Dataset, length, read_examples
from jaxgen.data.lines import until_line_end
from jaxgen.data.music import BETWEEN, bars_of_right_length
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.metrics.likelihood import bits_per_character, perplexity
from jaxgen.metrics.text import distinct_n, self_bleu
from jaxgen.runs.opened_run import Run
from jaxgen.samples.numbered import draw_samples
from jaxgen.samples.previews import first_line

TEXT = "text"
DIVERSITY = "diversity"
BARS = "bars"
MOST_TUNES = 100
LOSS, ELBO = "held_out/autoregressive/loss", "held_out/text_vae/elbo"
MOST_TEXTS = 500
"""As many as Zhu et al. 2018 compare."""


def metrics_of(data: Dataset) -> list[str]:
    """The names of the metrics that make sense for a text."""
    return [TEXT, DIVERSITY] + ([BARS] if data.assets.get("notation") == "abc" else [])


def prediction_values(data: Dataset, held_out: Mapping[str, float]) -> dict[str, float]:
    """Bits per character and perplexity of the held-out text, from a model's metrics of it: the mean of -log p over its
    tokens, or of a bound of it over its lines.

    The characters are those of the predicted tokens, decoded, so that vocabularies can be compared with each other.
    """
    targets = _held_out_tokens(data)
    characters = len(vocabulary_of(data.assets).decode(targets))
    nats = held_out[LOSS] * targets.size if LOSS in held_out else -held_out[ELBO] * length(data.test)
    return {
        f"{TEXT}/bits_per_character": float(bits_per_character(nats, characters)),
        f"{TEXT}/perplexity": float(perplexity(nats, targets.size)),
        f"{TEXT}/characters": float(characters),
    }


def draw_texts(run: Run, state: TrainState, count: int, seed: int) -> np.ndarray:
    """Tokens [N, T] of the texts that are judged, at most `MOST_TEXTS`."""
    return draw_samples(run.model, state, num=min(count, MOST_TEXTS), seed=seed)


def diversity_values(samples: np.ndarray, data: Dataset, seed: int) -> dict[str, float]:
    """Distinct 1-, 2- and 3-grams of words and self-BLEU of samples, and of as many held-out texts of that length.

    No two of those overlap. Where there are fewer, so many samples are judged, as both depend on the number; where
    there are not even two, of half the held-out text's length each.
    """
    vocabulary, rng = vocabulary_of(data.assets), np.random.default_rng(seed)
    if "line_end" in data.assets:
        rows = _held_out_rows(data)
    else:
        tokens = _held_out_tokens(data)
        size = min(samples.shape[1], len(tokens) // 2)
        samples, rows = samples[:, :size], tokens[: len(tokens) // size * size].reshape(-1, size)
    samples = samples[: len(rows)]
    held_out = rows[rng.choice(len(rows), len(samples), replace=False)]
    texts = {"": [vocabulary.decode(row) for row in samples], "held_out_": [vocabulary.decode(row) for row in held_out]}
    if "line_end" in data.assets:
        texts = {name: [first_line(text) for text in of] for name, of in texts.items()}
    return {
        f"{DIVERSITY}/{prefix}{name}": value
        for prefix, of in texts.items()
        for name, value in _diversity([text.split() for text in of]).items()
    }


def bar_values(samples: np.ndarray, data: Dataset) -> dict[str, float]:
    """Of whole tunes in samples, and of as many held-out ones: the share that can be read, and that of right bars."""
    vocabulary, samples = vocabulary_of(data.assets), samples[:MOST_TUNES]
    count, values = len(samples), {}
    drawn, held_out = [vocabulary.decode(row) for row in samples], vocabulary.decode(_held_out_tokens(data))
    for prefix, texts in (("", drawn), ("held_out_", [held_out])):
        tunes = [tune for text in texts for tune in text.split(BETWEEN)[1:-1] if tune.strip()][:count]
        bars = [bars_of_right_length(tune) for tune in tunes]
        values[f"{BARS}/{prefix}tunes"] = float(len(tunes))
        if tunes:
            values[f"{BARS}/{prefix}readable"] = sum(of > 0 for _, of in bars) / len(tunes)
            values[f"{BARS}/{prefix}right"] = sum(right for right, _ in bars) / max(1, sum(of for _, of in bars))
    return values


def _diversity(texts: Sequence[Sequence[str]]) -> dict[str, float]:
    return {**{f"distinct_{n}": distinct_n(texts, n) for n in (1, 2, 3)}, "self_bleu": self_bleu(texts)}


def _held_out_rows(data: Dataset) -> np.ndarray:
    """[N, T], what of each example is predicted, and what fills it up."""
    return read_examples(data.test, 0, length(data.test))["tokens"][:, 1:]


def _held_out_tokens(data: Dataset) -> np.ndarray:
    """[N], in their order, each predicted once."""
    rows = _held_out_rows(data)
    if "line_end" not in data.assets:
        return rows.reshape(-1)
    return rows[np.asarray(until_line_end(rows, data.assets["line_end"])) > 0]
