"""Metrics of models of text: how well they predict, and how varied their texts are."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxgen.core.types import present
from jaxgen.data.dataset import Dataset, length, read_examples
from jaxgen.data.lines import until_line_end
from jaxgen.data.music import BETWEEN, bars_of_right_length
from jaxgen.data.vocabulary import vocabulary_of
from jaxgen.evaluation.request import Request, RunMetric, Scores
from jaxgen.metrics.likelihood import bits_per_character, perplexity
from jaxgen.metrics.text import distinct_n, self_bleu
from jaxgen.runs.opened_run import Run
from jaxgen.samples.previews import first_line

TEXT = "text"
DIVERSITY = "diversity"
BARS = "bars"
MOST_TUNES = 100
LOSS, ELBO = "autoregressive/loss", "text_vae/elbo"


def prediction_values(data: Dataset, held_out: Mapping[str, float]) -> dict[str, float]:
    """Return bits per character and perplexity of the held-out text.

    They follow from a model's metrics on that text: the mean of -log p over its tokens, or of a bound over its lines.

    The characters are those of the predicted tokens, decoded, so that vocabularies can be compared with each other.
    """
    targets = _held_out_tokens(data)
    characters = len(vocabulary_of(data.assets).decode(targets))
    nats = held_out[LOSS] * targets.size if LOSS in held_out else -held_out[ELBO] * length(present(data.test))
    return {
        f"{TEXT}/bits_per_character": float(bits_per_character(nats, characters)),
        f"{TEXT}/perplexity": float(perplexity(nats, targets.size)),
        f"{TEXT}/characters": float(characters),
    }


def diversity_values(samples: np.ndarray, data: Dataset, seed: int) -> dict[str, float]:
    """Return distinct 1-, 2- and 3-grams of words and self-BLEU of samples and of as many held-out texts.

    Both kinds of texts have the same length, and the held-out texts do not overlap. If there are fewer of them than
    samples, only as many samples are judged, since both measures depend on the number; if there are fewer than two,
    texts have half the held-out text's length.
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
    """Return the shares of readable tunes and correct bars in whole tunes of samples and in as many held-out ones."""
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
    """Return the predicted tokens [N, T] of each held-out example, with their padding."""
    return read_examples(present(data.test), 0, length(present(data.test)))["tokens"][:, 1:]


def _held_out_tokens(data: Dataset) -> np.ndarray:
    """Return the held-out tokens [N] in order, each predicted once."""
    rows = _held_out_rows(data)
    if "line_end" not in data.assets:
        return rows.reshape(-1)
    return rows[np.asarray(until_line_end(rows, data.assets["line_end"])) > 0]


# ---------------------------------------------------------------- as metrics of runs


def _of_texts(name: str, *, music_only: bool = False) -> Callable[[Run, Dataset, str], list[str]]:
    def names(run: Run, data: Dataset, extractor: str) -> list[str]:
        is_text = data.kind == "text" and data.test is not None
        return [name] if is_text and (not music_only or data.assets.get("notation") == "abc") else []

    return names


def _prediction(request: Request, names: Sequence[str], prepared: None) -> Scores:
    return Scores(prediction_values(request.data, request.held_out))


def _diversity_of_texts(request: Request, names: Sequence[str], prepared: None) -> Scores:
    return Scores(diversity_values(request.texts, request.data, request.seed))


def _bars_of_tunes(request: Request, names: Sequence[str], prepared: None) -> Scores:
    return Scores(bar_values(request.texts, request.data))


PREDICTION = RunMetric(_of_texts(TEXT), _prediction)
DIVERSITY_OF_TEXTS = RunMetric(_of_texts(DIVERSITY), _diversity_of_texts)
BARS_OF_TUNES = RunMetric(_of_texts(BARS, music_only=True), _bars_of_tunes)
