"""Super-resolution of emoji from 16 to 32 pixels (SRResNet, SRGAN: Ledig et al. 2017, arXiv:1609.04802).

    python -m jaxgen.experiments.emoji_super_resolution
    python -m jaxgen.experiments.emoji_super_resolution --factor 4
    python -m jaxgen.experiments.emoji_super_resolution --degradation colourisation
    python -m jaxgen.experiments.emoji_super_resolution --adversary srgan --perceptual-weight 0.1
    jaxgen restore runs/emoji_super_resolution/001 small.png --out restored

eval/generator/psnr, psnr_y (of the luma) and ssim are means over held-out emoji in 256 levels, without a border of 2
pixels; eval/baseline/ has those of bicubic interpolation. --degradation names other degradations to undo.
"""

from dataclasses import dataclass

from jaxgen.experiments._images import ImageOptions, load_images
from jaxgen.experiments._restoration import RESTORATION, RestorationConfig, build_restoration
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(RestorationConfig):
    """Options of emoji_super_resolution."""

    data: ImageOptions = ImageOptions()


DEFAULT = Config().replace(**RESTORATION, batch_size=32)


EXPERIMENT = Experiment(
    file=__file__,
    family="images from images",
    summary="super-resolution; other restorations by options",
    data="emoji, --data ...",
    expected_time="32 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=40, width=8, blocks=1, eval_every=20, sample_every=20, checkpoint_every=20),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=200_000, width=64, blocks=16, eval_every=5_000, sample_every=5_000, checkpoint_every=5_000
        ),
    },
    load_data=lambda config: load_images(config.data),
    build_model=build_restoration,
)


if __name__ == "__main__":
    EXPERIMENT.main()
