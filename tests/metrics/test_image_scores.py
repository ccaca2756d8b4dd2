"""Scores of images whose quality is known: real digits against real digits, copies, noise."""

import chex
import numpy as np
import pytest
from PIL import Image

from jaxgen import UserError
from jaxgen.data import load
from jaxgen.metrics.extractors import FeatureExtractor, load_extractor
from jaxgen.metrics.frechet import frechet_bias
from jaxgen.metrics.image_features import extract_features
from jaxgen.metrics.image_scores import METRICS, ImageScorer, least_images, metrics_with, too_few_for
from jaxgen.metrics.image_source import ImageSource, as_rgb, of_array, of_path, of_split, with_equal_channels
from jaxgen.metrics.moments import mean_and_covariance

HALF = 2_000


@pytest.fixture(scope="module")
def digits():
    """2 x 2,000 digits of the test set, mixed."""
    order = np.random.default_rng(0).permutation(10_000)[: 2 * HALF]
    images = load("mnist").test["image"][order]
    return of_array(images[:HALF], "one half"), of_array(images[HALF:], "the other half")


@pytest.fixture(scope="module")
def scorer(digits):
    """Scores against the first half; 4,000 training digits."""
    training = of_array(load("mnist").train["image"][: 2 * HALF], "training images")
    return ImageScorer(digits[0], load_extractor("mnist"), metrics_with("mnist", labeled=False), training=training)


@pytest.mark.slow
def test_real_digits_against_real_digits_score_as_they_should(scorer, digits):
    values = scorer.score(digits[1])
    _, covariance = mean_and_covariance(scorer.real.moments)
    assert values["fid"] == pytest.approx(frechet_bias(covariance, HALF, HALF), rel=0.35)
    assert abs(values["kid"]) < 5e-3  # a GAN of digits has 0.04
    assert values["precision"] == pytest.approx(values["recall"], abs=0.03)
    assert values["precision"] > 0.83
    assert values["density"] == pytest.approx(1.0, abs=0.05)
    assert values["coverage"] > 0.93
    assert values["score"] > 9.0
    assert values["confident"] > 0.98
    assert values["modes"] == 10
    assert values["memorisation_ratio"] == pytest.approx(1.0, abs=0.05)
    assert values["closer_to_training"] == pytest.approx(0.5, abs=0.03)


@pytest.mark.slow
def test_noise_scores_far_worse_than_digits(scorer, digits):
    noise = np.random.default_rng(1).integers(0, 256, (HALF, 28, 28, 1), np.uint8)
    values, real = scorer.score(of_array(noise, "noise")), scorer.score(digits[1])
    assert values["fid"] > 100 * real["fid"]
    assert values["kid"] > 100 * abs(real["kid"])
    assert max(values[name] for name in ("precision", "recall", "coverage")) < 0.05
    assert values["score"] < 2.0
    assert values["memorisation_ratio"] > 2.0


def test_copies_of_training_images_are_found(digits):
    training, count = load("mnist").train["image"][:800], 300
    options = {"training": of_array(training, "training images")}
    scorer = ImageScorer(
        digits[0]._replace(count=count), load_extractor("mnist"), metrics_with("mnist", labeled=False), **options
    )
    values = scorer.score(of_array(training[:count], "copies"))
    assert values["memorisation_ratio"] == 0.0
    assert values["closer_to_training"] > 0.99
    assert scorer.nearest_pairs(3)[0][0] == scorer.nearest_pairs(3)[0][1]


def test_features_do_not_depend_on_how_the_images_come_in_batches(digits):
    extractor = load_extractor("mnist")
    few = digits[0]._replace(count=270)
    whole, other = (
        extract_features(few, extractor._replace(batch_size=size), keep_features=True) for size in (250, 90)
    )
    chex.assert_shape(whole.features, (270, 128))
    np.testing.assert_allclose(whole.features, other.features, atol=1e-4)
    for a, b in zip(mean_and_covariance(whole.moments), mean_and_covariance(other.moments), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_the_mnist_extractor_knows_digits():
    data = load("mnist")
    source = of_split(data, data.test, "test")._replace(count=500)
    features = extract_features(source, load_extractor("mnist"), keep_features=False)
    assert np.mean(features.logits.argmax(-1) == data.test["label"][:500]) >= 0.99
    assert features.features is None


@pytest.mark.slow
def test_the_mnist_extractor_is_the_recorded_classifier():
    data = load("mnist")
    features = extract_features(of_split(data, data.test, "test"), load_extractor("mnist"), keep_features=False)
    accuracy = np.mean(features.logits.argmax(-1) == data.test["label"])
    assert accuracy == pytest.approx(0.9958, abs=5e-5)  # experiments/mnist_classifier
    assert features.features is None


def test_a_random_choice_of_a_split_depends_on_the_seed_alone():
    data = load("mnist")
    one, again, other = (of_split(data, data.test, "x", at_most=50, seed=seed).read(0, 50) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert len({image.tobytes() for image in one}) == 50


def test_images_that_an_extractor_cannot_read_are_refused():
    with pytest.raises(UserError, match="'mnist' reads images of 28x28x1, not 32x32x3"):
        ImageScorer(of_array(np.zeros((9, 32, 32, 3), np.uint8), "x"), load_extractor("mnist"), ["fid"])


def test_too_few_images_are_refused_before_any_is_read():
    def unread(start, stop):
        raise AssertionError("was read")

    few = ImageSource("few", 100, (28, 28, 1), unread)
    with pytest.raises(UserError, match="too few images for fid: 100 images are no more than the 128 features"):
        ImageScorer(few, load_extractor("mnist"), ["fid", "kid"]).score(few._replace(count=10_000))


def test_each_metric_of_few_images_is_computed_or_left_out_by_name():
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 1), np.uint8)
    fewest = {"kid": 2, "classes": 1, "precision_recall": 4, "density_coverage": 6, "score": 10, "fid": 129}
    weights = np.random.default_rng(1).normal(size=(784, 128)) / 784

    def extract(images):
        features = images.reshape(len(images), -1) @ weights
        return features, features[:, :10]

    extractor = FeatureExtractor("mnist", 128, "", "", (28, 28, 1), 9, extract)
    for count in (1, 2, 3, 5, 9):
        source = of_array(images[:count], "few")
        left_out = too_few_for(list(fewest), extractor.num_features, count, count)
        assert set(left_out) == {name for name, least in fewest.items() if least > count}
        kept = [name for name in fewest if name not in left_out]
        values = ImageScorer(source, extractor, kept).score(source)
        assert set(values) == {value for name in kept for value in METRICS[name].values}
        assert all(np.isfinite(value) for name, value in values.items() if name != "kid_standard_error"), values
        assert count == 1 or np.isnan(values["kid_standard_error"]) == (count == 2)
        for name, why in left_out.items():
            with pytest.raises(UserError, match=f"too few images for {name}: "):
                ImageScorer(source, extractor, [name]).score(source)
            assert str(count) in why
    assert too_few_for(["kid"], 128, 1, 5) == {
        "kid": "it needs at least 2 real and 2 generated images, and there are 1 and 5"
    }
    assert too_few_for(["kid", "score"], 128, 5, 20) == {}
    assert least_images("fid", 128) == (129, 129)


def test_gray_pictures_are_the_same_pictures_in_rgb(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (6, 16, 16), np.uint8)
    for mode in ("L", "RGB"):
        (tmp_path / mode).mkdir()
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).convert(mode).save(tmp_path / mode / f"{i}.png")
    gray, rgb = (of_path(tmp_path / mode) for mode in ("L", "RGB"))
    for pair in ((gray, rgb), (rgb, gray)):
        real, generated = with_equal_channels(*pair)
        assert real.shape == generated.shape == (16, 16, 3)
        np.testing.assert_array_equal(real.read(1, 4), generated.read(1, 4))
    assert as_rgb(gray).name.endswith("L (gray, repeated to RGB)")
    assert as_rgb(rgb) is rgb
    assert with_equal_channels(gray, gray) == (gray, gray)
