"""StyleGAN2 (Karras et al. 2020, https://arxiv.org/abs/1912.04958) on images of your own.

    python -m jaxgen.experiments.image_stylegan2 --data path/to/images --image-size 64
    python -m jaxgen.experiments.image_stylegan2 --preset full --data path/to/images      # configuration F at 1024x1024

--data is any folder of images (with its sub-folders), an embedded set (emoji, mnist), or the name of an image set of
tensorflow-datasets (celeb_a, ...; --data-dir is the folder where it is prepared). The discriminator's images are
augmented adaptively (ADA, https://arxiv.org/abs/2006.06676), so that some thousand images are enough. --image-size
should be a power of two from 8 to 1024; images of other sizes are the middle of larger ones.
"""

from jaxgen.experiments._images import load_images
from jaxgen.experiments._stylegan2 import CONFIGURATION_F, SMALL, ImageStyleGAN2Config, build_stylegan2
from jaxgen.runs.experiment import Experiment

DEFAULT = ImageStyleGAN2Config().replace(**SMALL).replace(image_size=64, channel_base=2_048, augmentation="ada")


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="StyleGAN2 on your images",
    data="--data ...",
    expected_time="160 min on 1 busy CPU core at 64x64, by 17 images a second",
    presets={
        "quick": DEFAULT.replace(steps=40, image_size=32, channel_max=16, sample_every=20, checkpoint_every=20),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            **CONFIGURATION_F,
            image_size=1024,
            batch_size=32,
            steps=781_250,
            augmentation=None,
            steps_per_dispatch=1,
            checkpoint_every=10_000,
            sample_every=5_000,
        ),
    },
    load_data=lambda config: load_images(config.data),
    build_model=build_stylegan2,
)


if __name__ == "__main__":
    EXPERIMENT.main()
