"""The full presets of what was not run at that size: shapes and numbers of parameters, without computing anything."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.experiments import (
    cifar10_biggan,
    cifar10_diffusion,
    cifar10_sngan,
    emoji_clip,
    emoji_cycle_gan,
    emoji_dalle,
    emoji_diffusion,
    emoji_dvae,
    emoji_pix2pix,
    emoji_sngan,
    emoji_super_resolution,
    emoji_text_to_image,
    image_dcgan,
    image_stylegan2,
    mnist_diffusion,
    mnist_inpainting,
    mnist_made,
    mnist_pixelcnn,
    photo_style,
    photo_super_resolution,
)
from jaxgen.training.config import config_to_json

ASSETS = {"class_names": list("0123456789"), "data_variance": 0.3}
COUNTS = {
    # tests/networks adds these up from the papers' tables of layers
    "cifar10_sngan": (cifar10_sngan, 32, 4_274_435, 1_053_825),
    "emoji_sngan": (emoji_sngan, 32, 4_274_435, 1_053_825),
    # StudioGAN's src/models/big_resnet.py with its CIFAR10/BigGAN.yaml, except biases of convolutions before norms,
    # which remove them: stem, three blocks of 384, attention at 16x16, last norm and convolution, classes; then
    # blocks of 192 (of images, halving, two that keep the size), attention at 16x16, head and classes
    "cifar10_biggan": (
        cifar10_biggan,
        32,
        21 * 16 * 384
        + 3 * (4 * (20 + 128) * 384 + 384 * 384 + 2 * 9 * 384 * 384)
        + (2 * 48 + 2 * 192) * 384
        + 1
        + 2 * 384
        + (9 * 384 + 1) * 3
        + 10 * 128,
        (4 + 28) * 192 + 7 * (9 * 192 + 1) * 192 + 193 * 192 + (2 * 24 + 2 * 96) * 192 + 1 + 193 + 10 * 192,
    ),
    # the DCGAN paper's 64x64: kernels 5x5 between 1024-512-256-128-3 and the stem of 100 x 4 x 4 x 1024
    "image_dcgan": (
        image_dcgan,
        64,
        100 * 16 * 1024 + 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 3 + 2 * (1024 + 512 + 256 + 128),
        25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 128 + 2 * (256 + 512 + 1024) + 16 * 1024 + 1,
    ),
}
AUTOREGRESSIVE_COUNTS = {
    # 784 - 8000 - 784, and 784 x 784 directly: with the weights that the masks leave out
    "mnist_made": (mnist_made, 784 * 8000 + 8000 + 8000 * 784 + 784 + 784 * 784),
    # of a 7x7 kernel 3 rows and 3 places are seen, of 15 with 3x3 the row and the place they stand at, too; 1x1 between
    "mnist_pixelcnn": (
        mnist_pixelcnn,
        2 * 2
        + (21 * 2 * 256 + 256)
        + (3 * 2 * 256 + 256)
        + 15 * (6 * 128 * 256 + 256)
        + 15 * (2 * 128 * 256 + 256)
        + 16 * (256 * 256 + 256)
        + 16 * (128 * 128 + 128)
        + (128 * 256 + 256)
        + (256 * 2 + 2),
    ),
}


def numbers_of_parameters(module, *image_shape, assets=ASSETS, caption_length=1):
    """Of each network of the full preset, which takes a step and makes images of this shape."""
    config = module.EXPERIMENT.presets["full"]
    model = module.EXPERIMENT.build_model(config, assets | {"image_shape": list(image_shape)})
    batch = {
        "image": jax.ShapeDtypeStruct((2, *image_shape), jnp.float32),
        "source": jax.ShapeDtypeStruct((2, *image_shape), jnp.float32),
        "label": jax.ShapeDtypeStruct((2,), jnp.int32),
        "caption": jax.ShapeDtypeStruct((2, caption_length), jnp.int32),
        "captions": jax.ShapeDtypeStruct((2, 2, caption_length), jnp.int32),
        "index": jax.ShapeDtypeStruct((2,), jnp.uint32),
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(model.init, key, batch)
    after, _ = jax.eval_shape(model.train_step, state, batch, key)
    assert jax.tree.map(lambda x: x.shape, after.params) == jax.tree.map(lambda x: x.shape, state.params)
    if model.sample is not None:
        samples = jax.eval_shape(lambda state, key: model.sample(state, key, 3), state, key)
        assert samples.shape == (3, *image_shape)
    return {n: sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree)) for n, tree in state.params.items()}


@pytest.mark.parametrize("name", COUNTS)
def test_the_full_preset_has_the_stated_parameters_and_makes_images(name):
    module, size, generator, discriminator = COUNTS[name]
    assert module.EXPERIMENT.presets["full"].data.image_size == size
    assert numbers_of_parameters(module, size, size, 3) == {"generator": generator, "discriminator": discriminator}


@pytest.mark.parametrize("name", AUTOREGRESSIVE_COUNTS)
def test_the_full_preset_of_an_autoregressive_model_has_the_stated_parameters_and_makes_images(name):
    module, count = AUTOREGRESSIVE_COUNTS[name]
    assert numbers_of_parameters(module, 28, 28, 1) == {"autoregressive": count}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "generator", "discriminator"), [(256, 30_034_338, 28_864_129), (1024, 30_370_060, 29_012_513)]
)
def test_the_full_preset_of_stylegan2_has_the_published_parameters_and_makes_images(size, generator, discriminator):
    config = image_stylegan2.EXPERIMENT.presets["full"]
    sizes = (config.data.image_size, config.network.channel_base)
    assert (*sizes, config.model.r1_weight, config.model.path_weight) == (1024, 32_768, 10.0, 2.0)
    counts = numbers_of_parameters(image_stylegan2, size, size, 3)
    assert counts == {"generator": generator, "discriminator": discriminator}


def unet_count(
    *, channels, width, factors, blocks, attended, middle=1, classes=None, text_width=0, halving_widens=True
):
    """Parameters of a U-Net, from its description; `attended` says at which levels blocks are followed by attention.

    Without those of a transformer of texts, of which it gets states of `text_width`. `halving_widens`: a block that
    halves the map has the channels of the next size already.
    """
    size = 4 * width
    conv = lambda kernel, before, after: kernel**2 * before * after + after  # noqa: E731

    def block(before, after, attention=False):
        count = 2 * before + conv(3, before, after) + (size + 1) * 2 * after + 2 * after + conv(3, after, after)
        count += conv(1, before, after) if before != after else 0
        attended = 2 * after + 4 * (after + 1) * after + ((text_width + 1) * 2 * after if text_width else 0)
        return count + (attended if attention else 0)

    widths = [width * factor for factor in factors]
    total, skips, now = conv(3, channels, width), [width], width
    for level, after in enumerate(widths):
        if level:
            halved = after if halving_widens else now
            total, now = total + block(now, halved), halved
            skips.append(now)
        for _ in range(blocks):
            total, now = total + block(now, after, level in attended), after
            skips.append(now)
    for i in range(middle):
        total += block(now, now, i == 0 if middle > 1 else len(widths) - 1 in attended)
    for level, after in reversed(list(enumerate(widths))):
        for _ in range(blocks + 1):
            total, now = total + block(now + skips.pop(), after, level in attended), after
        total += block(now, now) if level else 0
    embedding = (size // 2 + 1) * size + (size + 1) * size + (text_width or classes) * size + size
    return total + 2 * now + conv(3, now, channels) + embedding


@pytest.mark.parametrize(
    ("published", "sizes"),
    [  # DhariwalUNet of the authors' program of EDM: as they use it for ImageNet at 64x64, and a small one
        (295_899_267, {"width": 192, "factors": (1, 2, 3, 4), "blocks": 3, "attended": (1, 2, 3), "classes": 1_000}),
        (4_591_363, {"width": 64, "factors": (1, 2), "blocks": 2, "attended": (1,), "classes": 10}),
    ],
)
def test_the_u_net_is_the_published_one_but_for_the_channels_of_halving_blocks_and_the_embedding(published, sizes):
    # ours has a vector for images of no class, and sinusoids of twice as many frequencies
    more = 4 * sizes["width"] * (1 + sizes["width"])
    assert unet_count(channels=3, middle=2, halving_widens=False, **sizes) == published + more


DIFFUSION_COUNTS = {
    "mnist_diffusion": (
        mnist_diffusion,
        (28, 28, 1),
        {"channels": 1, "width": 64, "factors": (1, 2, 4), "blocks": 2, "attended": (2,), "classes": 10},
    ),
    "emoji_diffusion": (
        emoji_diffusion,
        (32, 32, 3),
        {"channels": 3, "width": 128, "factors": (1, 2, 2), "blocks": 2, "attended": (1, 2), "classes": 10},
    ),
    "cifar10_diffusion": (
        cifar10_diffusion,
        (32, 32, 3),
        {"channels": 3, "width": 128, "factors": (2, 2, 2), "blocks": 4, "middle": 2, "attended": (1,), "classes": 10},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFUSION_COUNTS)
def test_the_full_preset_of_a_diffusion_model_has_the_stated_parameters_and_makes_images(name):
    module, shape, sizes = DIFFUSION_COUNTS[name]
    counts = numbers_of_parameters(module, *shape)
    assert counts == {"diffusion": unet_count(**sizes)}


# ---------------------------------------------------------------- images to images


# Counts of the authors' programs (in PyTorch, of color images of 256x256), less what ours leave out: the biases of
# convolutions before instance norms, which take them away, and the batch norms' gains and biases of pix2pix; their
# pix2pix in turn has no biases in the first and the innermost convolution.
CYCLE_GAN = 11_378_179 - (64 + 128 + 256 + 18 * 256 + 128 + 64), 2_764_737 - (128 + 256 + 512)
PIX2PIX = (
    54_413_955 - 2 * (128 + 256 + 4 * 512 + 4 * 512 + 256 + 128 + 64) + 64 + 512,
    2_768_705 - 2 * (128 + 256 + 512),
)
TRANSLATION_COUNTS = {
    "emoji_cycle_gan": (
        emoji_cycle_gan,
        {"to_target": CYCLE_GAN[0], "to_source": CYCLE_GAN[0]}
        | {"judge_of_target": CYCLE_GAN[1], "judge_of_source": CYCLE_GAN[1]},
    ),
    "emoji_pix2pix": (emoji_pix2pix, {"generator": PIX2PIX[0], "discriminator": PIX2PIX[1]}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSLATION_COUNTS)
def test_the_full_preset_of_a_translation_has_the_published_parameters(name):
    module, counts = TRANSLATION_COUNTS[name]
    assert module.EXPERIMENT.presets["full"].data.image_size == 256
    assert numbers_of_parameters(module, 256, 256, 3) == counts


@pytest.mark.slow
@pytest.mark.parametrize(("module", "size"), [(emoji_super_resolution, 32), (photo_super_resolution, 96)])
def test_the_full_preset_of_super_resolution_has_the_layers_of_srresnet(module, size):
    """As tests/networks has them for the paper's network, but of twice the size and without norms."""
    conv = lambda kernel, before, after: kernel**2 * before * after + after  # noqa: E731
    blocks = 33 * conv(3, 64, 64) + 16
    expected = conv(9, 3, 64) + 1 + blocks + conv(3, 64, 256) + 1 + conv(9, 64, 3)
    assert numbers_of_parameters(module, size, size, 3) == {"generator": expected}


@pytest.mark.slow
def test_the_full_preset_of_inpainting_has_the_layers_of_its_unet():
    """Of the image and its mask: 4x4 down to 64 and 128 channels, and back; what is skipped stands beside."""
    expected = (16 * 2 * 64 + 64) + (16 * 64 * 128 + 128) + 16 * 128 * 64 + (16 * 128 * 1 + 1)
    assert numbers_of_parameters(mnist_inpainting, 28, 28, 1) == {"generator": expected}


@pytest.mark.slow
def test_the_full_preset_of_style_transfer_has_the_layers_of_the_paper_s_network():
    """Johnson et al., supplement, table 1, but for kernels of 7x7 in place of 9x9 and norms without gains."""
    conv = lambda kernel, before, after: kernel**2 * before * after  # noqa: E731
    inner = conv(7, 3, 32) + conv(3, 32, 64) + conv(3, 64, 128) + 10 * conv(3, 128, 128)
    outer = conv(3, 128, 64) + conv(3, 64, 32) + conv(7, 32, 3) + 3
    assert photo_style.EXPERIMENT.presets["full"].data.image_size == 256
    counts = numbers_of_parameters(photo_style, 256, 256, 3, assets=ASSETS | {"style": "none"})
    assert counts == {"translator": inner + outer}


# ---------------------------------------------------------------- text and images


def captions_of(tokens, length):
    """Assets of captions of so many kinds of tokens, with that of padding."""
    characters = " " + "".join(map(chr, range(0x10000, 0x10000 + tokens - 2)))
    return ASSETS | {
        "vocabulary": {"kind": "characters", "characters": characters},
        "caption_length": length,
        "prompts": [characters[1:3], characters[1:9]],
    }


@pytest.mark.slow
def test_the_full_preset_of_clip_has_the_151277313_parameters_of_the_published_vit_b_32():
    data = emoji_clip.EXPERIMENT.presets["full"].data
    assert (data.image_size, data.caption_length, data.vocabulary) == (224, 77, "bpe-49407")
    counts = numbers_of_parameters(emoji_clip, 224, 224, 3, assets=captions_of(49_408, 77), caption_length=77)
    assert counts == {"contrastive": 151_277_313}


@pytest.mark.slow
def test_the_full_preset_of_text_to_image_has_the_3_5_billion_parameters_of_glide():
    width, vocabulary = 2_048, 50_257
    hidden = 8 * round(8 * width / 3 / 8)
    text = vocabulary * width + 24 * (4 * width**2 + 3 * width * hidden + 2 * width) + width
    unet = unet_count(
        channels=3, width=512, factors=(1, 2, 3, 4), blocks=3, middle=2, attended=(1, 2, 3), text_width=width
    )
    counts = numbers_of_parameters(
        emoji_text_to_image, 64, 64, 3, assets=captions_of(vocabulary, 128), caption_length=128
    )
    assert counts == {"diffusion": unet + text}
    # "roughly 2.3 billion" and "roughly 1.2 billion", section 4
    assert unet == pytest.approx(2.3e9, rel=0.05)
    assert text == pytest.approx(1.2e9, rel=0.1)


def bottleneck_count(before, after, *, point_first):
    """Parameters of a block: convolutions on a quarter of the channels, and 1x1 where they change."""
    conv = lambda kernel, before, after: kernel**2 * before * after + after  # noqa: E731
    inner = after // 4
    ends = (1, 3) if point_first else (3, 1)
    count = conv(ends[0], before, inner) + 2 * conv(3, inner, inner) + conv(ends[1], inner, after)
    return count + (conv(1, before, after) if before != after else 0)


DVAE = 8_192, 128  # codes and the length of their vectors


@pytest.mark.slow
def test_the_full_preset_of_the_discrete_vae_has_the_stated_parameters_and_makes_images():
    codes, size = DVAE
    encoder, now = 49 * 3 * 256 + 256, 256
    decoder, last = 256 * 6 + 6, size
    for factor in (1, 2, 4, 8):
        after = 256 * factor
        encoder += bottleneck_count(now, after, point_first=False) + bottleneck_count(after, after, point_first=False)
        now = after
    for factor in (8, 4, 2, 1):
        after = 256 * factor
        decoder += bottleneck_count(last, after, point_first=True) + bottleneck_count(after, after, point_first=True)
        last = after
    encoder += 2_048 * codes + codes
    assert numbers_of_parameters(emoji_dvae, 256, 256, 3) == {"discrete_vae": encoder + decoder + codes * size}


@pytest.mark.slow
def test_the_full_preset_of_dall_e_has_the_12_billion_parameters_of_the_paper():
    image = {"image": {"shape": [256, 256, 3], "dtype": "float32"}, "index": {"shape": [], "dtype": "uint32"}}
    described = {
        "experiment": {"name": "emoji_dvae", "module": "jaxgen.experiments.emoji_dvae", "file": None},
        "config": config_to_json(emoji_dvae.EXPERIMENT.presets["full"]),
        "assets": ASSETS | {"image_shape": [256, 256, 3]},
        "kind": "image",
        "batch": image,
        "step": 1,
        "sha256": "0" * 64,
        "grid_shape": [32, 32],
        "num_codes": DVAE[0],
    }
    config = emoji_dalle.EXPERIMENT.presets["full"].replace(first_stage=Path("gone"))
    model = emoji_dalle.EXPERIMENT.build_model(config, captions_of(16_384, 256) | {"first_stage": described})
    batch = {"image": jax.ShapeDtypeStruct((2, 256, 256, 3), jnp.float32)}
    state = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)), batch)
    count = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params["dall_e"]))
    width = 62 * 64
    blocks = 64 * (12 * width**2 + 13 * width)
    assert count == blocks + (16_384 + 256 + DVAE[0] + 256 + 1_024 + 2) * width
    assert blocks == pytest.approx(12e9, rel=0.02)
