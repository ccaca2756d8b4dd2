"""`jaxgen latent`, `jaxgen sample --label` and likelihoods, on tiny runs of the package's own experiments."""

import contextlib
import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from command_lines import assert_refused, command, tiles, train

from jaxgen.data import embedded_sets
from jaxgen.experiments import (
    mnist_adversarial_autoencoder,
    mnist_conditional_vae,
    mnist_infogan,
    mnist_vq_vae,
    mnist_vq_vae_prior,
)
from jaxgen.runs.opened_run import open_run, restore_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_mnist")]

ONCE = ("--preset", "quick", "--steps", 2, "--batch-size", 20, "--devices", 1, "--steps-per-dispatch", 2)
ONCE += ("--eval-metrics", "None", "--best-metric", "None", "--eval-every", 0)
VQ = ("--width", 4, "--residual-width", 4, "--residual-blocks", 1, "--num-codes", 6, "--code-size", 3)
INFOGAN_OPTIONS = ("--latent-size", 6, "--base-width", 4, "--generator-learning-rate", 0.3, "--ema-decay", 0.0)
CLASSES, TWO_LATENTS, CODES, PRIOR, INFOGAN = (
    f"runs/{name}/001"
    for name in (
        "mnist_conditional_vae",
        "mnist_adversarial_autoencoder",
        "mnist_vq_vae",
        "mnist_vq_vae_prior",
        "mnist_infogan",
    )
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, small_mnist):
    """A folder with a run of 2 steps of each experiment."""
    folder = tmp_path_factory.mktemp("latent")
    with contextlib.chdir(folder):
        for experiment, options in (
            (mnist_conditional_vae, ("--widths", 16, "--latent-size", 5)),
            (mnist_adversarial_autoencoder, ("--widths", 16, "--latent-size", 2, "--discriminator-widths", 8)),
            (mnist_vq_vae, VQ),
            (mnist_infogan, INFOGAN_OPTIONS),
            (
                mnist_vq_vae_prior,
                ("--first-stage", CODES, "--conditional", "--width", 4, "--layers", 2),
            ),
        ):
            result = train(*ONCE, *options, experiment=experiment.EXPERIMENT)
            assert result[0] == 0, result
    return folder


@pytest.mark.parametrize(
    ("options", "grid"),
    [
        (("reconstruct", "--rows", 4, "--steps", 6), (4, 6)),
        (("reconstruct", "--examples", 5, 7, 9, "--steps", 2), (4, 2)),
        (("interpolate", "--rows", 3, "--steps", 5), (3, 5)),
        (("interpolate", "--examples", 0, 4, "--spherical", "--steps", 7), (1, 7)),
        (("arithmetic", "--examples", 0, 1, 2, 3, 4, 5), (2, 4)),
        (("arithmetic", "--classes", 7, 1, 4), (1, 4)),
        (("traverse", "--examples", 3, "--dimensions", 4, 0, "--steps", 6), (2, 6)),
        (("traverse",), (5, 10)),  # all 5 latents
        (("manifold", "--rows", 4), (4, 4)),
        (("manifold", "--examples", 0, 1, 2, "--rows", 5), (5, 5)),
        (("neighbours", "--rows", 3, "--steps", 4), (3, 5)),
    ],
)
def test_pictures_have_the_tiles_that_were_asked_for(runs, options, grid):
    with contextlib.chdir(runs):
        code, said, err = command("latent", CLASSES, *options, "--overwrite", "--out", "x.png", "--num", 200)
        assert code == 0, err
        assert "x.png" in said
        assert tiles("x.png", *grid).std() > 0


@pytest.mark.parametrize(
    ("options", "grid", "words"),
    [
        (("traverse", "--steps", 4), (2, 4), "sample 0, latents 4, 5 from"),  # the two codes
        (("traverse", "--examples", 1, 2, 3, "--dimensions", 0, 5), (6, 10), "samples 1, 2, 3, latents 0, 5 from"),
        (("interpolate", "--rows", 3, "--steps", 5), (3, 5), "3 straight walks between samples"),
        (("arithmetic", "--rows", 2), (2, 4), "2 times a - b + c"),
        (("manifold", "--rows", 4), (4, 4), "plane through the samples 0, 1, 2"),
    ],
)
def test_models_that_encode_nothing_are_shown_by_samples(runs, options, grid, words):
    with contextlib.chdir(runs):
        code, said, err = command("latent", INFOGAN, *options, "--overwrite", "--out", "x.png", "--num", 50)
        assert code == 0, err
        assert words in said
        assert tiles("x.png", *grid).std() > 0


def test_samples_are_those_of_their_seed(runs):
    with contextlib.chdir(runs):
        options = ("--seed", 3, "--rows", 1, "--steps", 4)
        assert (
            command("latent", INFOGAN, "interpolate", *options, "--spherical", "--overwrite", "--out", "a.png")[0] == 0
        )
        assert command("interpolate", INFOGAN, *options, "--overwrite", "--out", "b.png")[0] == 0
        np.testing.assert_array_equal(tiles("a.png", 1, 4), tiles("b.png", 1, 4))


def test_the_picture_is_named_after_what_it_shows(runs):
    with contextlib.chdir(runs):
        for what in ("scatter", "manifold"):
            assert command("latent", TWO_LATENTS, what, "--num", 100)[0] == 0
            assert Path(f"latent_{what}.png").stat().st_size > 2_000


def test_interpolation_ends_at_the_reconstructions_of_its_examples(runs):
    with contextlib.chdir(runs):
        for what, out in (("interpolate", "a.png"), ("reconstruct", "b.png")):
            options = ("--examples", 2, 5, "--steps", 2, "--overwrite", "--out", out)
            assert command("latent", TWO_LATENTS, what, *options)[0] == 0
        np.testing.assert_allclose(tiles("a.png", 1, 2)[0].astype(int), tiles("b.png", 2, 2)[1].astype(int), atol=1)
        originals = embedded_sets.mnist_arrays().test_images[[2, 5], ..., 0]
        np.testing.assert_array_equal(tiles("b.png", 2, 2)[0], originals)


def held_out_latents(number):
    """Images uint8, their latents by the model of TWO_LATENTS, and its decoder to uint8 images."""
    run = open_run(Path(TWO_LATENTS))
    state, images = restore_run(run), embedded_sets.mnist_arrays().test_images[:number]
    latents = np.asarray(run.model.latents.encode(state, jnp.asarray(images / 127.5 - 1.0, jnp.float32)))
    decode = run.model.latents.decode
    return images[..., 0], latents, lambda z: np.rint((np.asarray(decode(state, jnp.asarray(z)))[..., 0] + 1) * 127.5)


def test_the_nearest_neighbors_are_those_by_latents_without_the_example_itself(runs):
    with contextlib.chdir(runs):
        options = ("neighbours", "--examples", 0, 7, "--steps", 3, "--overwrite", "--out", "n.png", "--num", 50)
        assert command("latent", TWO_LATENTS, *options)[0] == 0
        rows = tiles("n.png", 2, 4)
        images, latents, _ = held_out_latents(50)
    for number, row in zip((0, 7), rows, strict=True):
        nearest = np.argsort(((latents - latents[number]) ** 2).sum(-1))[:4]
        np.testing.assert_array_equal(row, images[nearest])


def test_arithmetic_is_a_minus_b_plus_c(runs):
    with contextlib.chdir(runs):
        assert (
            command("latent", TWO_LATENTS, "arithmetic", "--examples", 4, 9, 2, "--overwrite", "--out", "a.png")[0] == 0
        )
        row = tiles("a.png", 1, 4)[0]
        _, latents, decode = held_out_latents(10)
        a, b, c = latents[[4, 9, 2]]
        np.testing.assert_allclose(row, decode(np.stack([a, b, c, a - b + c])), atol=1)


def test_a_traversal_moves_one_latent_from_3_spreads_below_its_mean_to_3_above(runs):
    with contextlib.chdir(runs):
        options = (
            "traverse",
            "--examples",
            6,
            "--dimensions",
            1,
            0,
            "--steps",
            4,
            "--num",
            80,
            "--overwrite",
            "--out",
            "t.png",
        )
        assert command("latent", TWO_LATENTS, *options)[0] == 0
        rows = tiles("t.png", 2, 4)
        _, latents, decode = held_out_latents(80)
    mean, spread = latents.mean(0), latents.std(0)
    for row, dimension in zip(rows, (1, 0), strict=True):
        moved = np.repeat(latents[6:7], 4, axis=0)
        moved[:, dimension] = mean[dimension] + spread[dimension] * np.array([-3, -1, 1, 3])
        with contextlib.chdir(runs):
            np.testing.assert_allclose(row, decode(moved), atol=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((CLASSES, "reconstruct", "--examples", 900), "--examples has 900, but the examples are 0 to 299"),
        ((CLASSES, "interpolate", "--examples", 1, 2, 3), "in groups of 2"),
        ((CLASSES, "arithmetic", "--classes", 1, 2), "--classes takes three numbers"),
        ((CLASSES, "arithmetic", "--classes", 1, 2, 77), "no example of class 77"),
        ((CLASSES, "traverse", "--dimensions", 5), "--dimensions has 5, but the latents are 0 to 4"),
        ((CLASSES, "neighbours", "--num", 10), "no 10 other examples among 10"),
        ((CLASSES, "scatter", "--out", "x.gif"), r"must end in \.png"),
        ((CLASSES, "scatter", "--rows", 0), "--rows must be at least 1, not 0"),
        ((CLASSES, "scatter", "--label", 12), "--label 12 is no class of mnist_conditional_vae"),
        ((TWO_LATENTS, "manifold", "--label", 1), "mnist_adversarial_autoencoder has no classes"),
        ((PRIOR, "reconstruct"), "mnist_vq_vae_prior has no way to reconstruct examples"),
        ((CODES, "interpolate"), "mnist_vq_vae has no way to decode examples"),
        ((CODES, "scatter", "--overwrite"), "grids of discrete codes"),
        ((INFOGAN, "scatter"), "mnist_infogan has no way to encode examples"),
        ((INFOGAN, "arithmetic", "--classes", 1, 2, 3), "mnist_infogan encodes nothing"),
        ((INFOGAN, "interpolate", "--examples", 1, 60, "--num", 50), "--examples has 60, but the samples are 0 to 49"),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_sentence(runs, arguments, words):
    with contextlib.chdir(runs):
        assert_refused(command("latent", *arguments), words)


def test_reconstructions_of_a_vq_vae_are_shown(runs):
    with contextlib.chdir(runs):
        assert (
            command("latent", CODES, "reconstruct", "--rows", 2, "--steps", 3, "--overwrite", "--out", "r.png")[0] == 0
        )


# ---------------------------------------------------------------- classes


def test_samples_of_one_class_are_those_of_that_class_in_turn(runs):
    with contextlib.chdir(runs):
        assert command("sample", CLASSES, "--num", 30, "--overwrite", "--out", "all.npz")[0] == 0
        code, said, _ = command("sample", CLASSES, "--num", 30, "--label", 7, "--overwrite", "--out", "seven.npz")
        assert code == 0
        assert "class 7" in said
        everything, sevens = (np.load(name)["samples"] for name in ("all.npz", "seven.npz"))
    np.testing.assert_allclose(sevens[7::10], everything[7::10], atol=1e-6)
    assert not np.allclose(sevens[0], everything[0])


def test_sheets_of_a_conditional_model_have_one_row_per_class(runs):
    with contextlib.chdir(runs):
        assert command("sample", CLASSES, "--num", 25, "--overwrite", "--out", "sheet.png")[0] == 0
        assert command("sample", CLASSES, "--num", 25, "--overwrite", "--out", "all.npz")[0] == 0
        samples = np.rint((np.load("all.npz")["samples"][..., 0] + 1) * 127.5)
        rows = tiles("sheet.png", 10, 3)  # 25 of 10 classes: 3 of each of the first five, 2 of the others
        assert tiles(f"{CLASSES}/samples/step_0000002.png", 10, 7).std() > 0  # the loop's 64
    np.testing.assert_allclose(rows[4, 2], samples[24], atol=1)
    np.testing.assert_allclose(rows[9, 1], samples[19], atol=1)
    assert (rows[9, 2] == 255).all()


def test_labels_that_a_model_lacks_are_refused(runs):
    with contextlib.chdir(runs):
        assert_refused(
            command("sample", CLASSES, "--label", 10, "--overwrite"), "--label 10 is no class .* choose 0 to 9"
        )
        assert_refused(
            command("sample", TWO_LATENTS, "--label", 1, "--overwrite"), "mnist_adversarial_autoencoder has no classes"
        )


# ---------------------------------------------------------------- two stages


def test_a_prior_samples_where_its_first_stage_is_gone(runs, here):
    shutil.copytree(runs / PRIOR, here / PRIOR)
    code, _, err = command("sample", PRIOR, "--num", 12, "--label", 3, "--overwrite", "--out", "x.npz")
    assert code == 0, err
    with contextlib.chdir(runs):
        assert command("sample", PRIOR, "--num", 12, "--label", 3, "--overwrite", "--out", "y.npz")[0] == 0
    samples = np.load("x.npz")["samples"]
    assert samples.shape == (12, 28, 28, 1)
    assert samples.std() > 0
    np.testing.assert_array_equal(samples, np.load(runs / "y.npz")["samples"])


def test_a_prior_keeps_the_hash_of_its_first_stage(runs):
    described = json.loads((runs / PRIOR / "config.json").read_text())["assets"]["first_stage"]
    saved = json.loads((runs / CODES / "checkpoints" / "2" / "run" / "metadata").read_text())
    assert described["sha256"] == saved["digest"]
    assert (described["num_codes"], described["grid_shape"], described["step"]) == (6, [7, 7], 2)


def test_a_prior_goes_on_with_the_first_stage_it_began_with(runs, here):
    shutil.copytree(runs / PRIOR, here / PRIOR)
    before = json.loads((here / PRIOR / "config.json").read_text())["assets"]
    result = train("--resume", "001", "--steps", 4, experiment=mnist_vq_vae_prior.EXPERIMENT)
    assert result[0] == 0, result
    assert json.loads((here / PRIOR / "config.json").read_text())["assets"] == before
    assert not (here / CODES).exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "name a run of mnist_vq_vae or emoji_vq_vae with --first-stage RUN"),
        (("--first-stage", "nowhere"), "nowhere is not the folder of a run"),
        (("--first-stage", CLASSES), "mnist_conditional_vae, which has no codes"),
    ],
)
def test_a_prior_without_codes_to_learn_is_refused(runs, options, words):
    with contextlib.chdir(runs):
        assert_refused(train(*ONCE, *options, experiment=mnist_vq_vae_prior.EXPERIMENT), words)


def test_a_likelihood_is_evaluated_when_asked_for_and_rises_with_the_samples(runs):
    found = {}
    with contextlib.chdir(runs):
        for samples in (1, 20):
            options = ("--metrics", "log_likelihood", "--num-samples", 150, "--importance-samples", samples)
            code, said, err = command("evaluate", CLASSES, *options)
            assert code == 0, err
            assert "log_likelihood/standard_error" in said
            record = json.loads(Path(CLASSES, "evaluation.json").read_text())["evaluations"][-1]
            assert (record["held_out"], record["importance_samples"]) == (150, samples)
            found[samples] = record["values"]
        assert command("evaluate", CLASSES, "--num-samples", 20, "--metrics", "held_out")[0] == 0
        assert_refused(command("evaluate", CLASSES, *options[:-1], 0), "--importance-samples")
    assert found[1]["log_likelihood/nats"] < found[20]["log_likelihood/nats"] < 0
    assert 0 < found[20]["log_likelihood/standard_error"] < 50
