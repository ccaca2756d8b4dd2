"""Inpainting of digits: a U-Net draws hidden rectangles (pix2pix: Isola et al. 2017, arXiv:1611.07004).

    python -m jaxgen.experiments.mnist_inpainting
    python -m jaxgen.experiments.mnist_inpainting --hidden pixels
    python -m jaxgen.experiments.mnist_inpainting --adversary patch --beta1 0.5 --adversarial-weight 0.01
    jaxgen restore runs/mnist_inpainting/001 digit.png --mask hidden.png

eval/generator/ssim and psnr are those of whole test images, whose known part is kept; eval/baseline/ has those of
images filled with the mean of the known pixels. --degradation names other degradations to undo.
"""

from jaxgen.data import Dataset, load
from jaxgen.experiments._restoration import RESTORATION, RestorationConfig, build_restoration
from jaxgen.runs.experiment import Experiment

DEFAULT = RestorationConfig().replace(**RESTORATION, batch_size=64, degradation="inpainting", network="unet", border=0)


def load_data(config: RestorationConfig) -> Dataset:
    """Load MNIST."""
    del config
    return load("mnist")


EXPERIMENT = Experiment(
    file=__file__,
    family="images from images",
    summary="inpainting; other restorations by options",
    data="MNIST",
    expected_time="4 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(steps=60, width=8, eval_every=30, sample_every=30, checkpoint_every=30),
        "default": DEFAULT,
        "full": DEFAULT.replace(steps=100_000, width=64, eval_every=5_000, sample_every=5_000, checkpoint_every=5_000),
    },
    load_data=load_data,
    build_model=build_restoration,
)


if __name__ == "__main__":
    EXPERIMENT.main()
