"""Super-resolution of photographs by a factor of 2 (SRResNet, SRGAN: Ledig et al. 2017, arXiv:1609.04802).

    python -m jaxgen.experiments.photo_super_resolution
    python -m jaxgen.experiments.photo_super_resolution --data path/to/photographs
    python -m jaxgen.experiments.photo_super_resolution --degradation denoising
    python -m jaxgen.experiments.photo_super_resolution --adversary srgan --perceptual-weight 0.1
    jaxgen restore runs/photo_super_resolution/001 photo.jpg --out restored

The network learns from patches. By default they are taken from the pictures that come with scikit-image (pip install
'jaxgen[photos]'), four of which are held out; of a folder, one picture in five is held out. eval/generator/psnr, psnr_y
(of the luma) and ssim are means over held-out patches in 256 levels, without a border of 2 pixels; eval/baseline/ has
those of bicubic interpolation.
"""

from dataclasses import dataclass

from jaxgen.data import Dataset
from jaxgen.data.photos import load_patches
from jaxgen.experiments._photos import PatchOptions
from jaxgen.experiments._restoration import RESTORATION, RestorationConfig, build_restoration
from jaxgen.runs.experiment import Experiment


@dataclass(frozen=True)
class Config(RestorationConfig):
    """Options of photo_super_resolution."""

    data: PatchOptions = PatchOptions()


DEFAULT = Config().replace(**RESTORATION, batch_size=16, learning_rate=1e-3, turn=True)


def load_data(config: Config) -> Dataset:
    """Load patches of the pictures named by --data."""
    return load_patches(config.data.data, size=config.data.image_size, test_fraction=config.data.test_fraction)


EXPERIMENT = Experiment(
    file=__file__,
    family="images from images",
    summary="super-resolution; other restorations by options",
    data="photographs, --data ...",
    expected_time="29 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=20, width=8, blocks=1, eval_every=10, sample_every=10, checkpoint_every=10),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=300_000,
            image_size=96,
            width=64,
            blocks=16,
            eval_every=10_000,
            sample_every=10_000,
            checkpoint_every=10_000,
        ),
    },
    load_data=load_data,
    build_model=build_restoration,
)


if __name__ == "__main__":
    EXPERIMENT.main()
