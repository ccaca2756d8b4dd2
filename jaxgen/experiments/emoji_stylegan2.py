"""StyleGAN2 (Karras et al. 2020, https://arxiv.org/abs/1912.04958) on emoji.

    python -m jaxgen.experiments.emoji_stylegan2
    jaxgen sample runs/emoji_stylegan2/001 --truncation 0.7
    jaxgen styles runs/emoji_stylegan2/001 mixing

With --conditional the model is conditioned on the kind of emoji; --augmentation ada is adaptive
(https://arxiv.org/abs/2006.06676).
"""

from jaxgen.experiments._images import load_images
from jaxgen.experiments._scored import BEST_BY_KID
from jaxgen.experiments._stylegan2 import CONFIGURATION_F, SMALL, ImageStyleGAN2Config, build_stylegan2
from jaxgen.runs.experiment import Experiment

DEFAULT = ImageStyleGAN2Config().replace(
    **SMALL,
    **BEST_BY_KID,
    r1_weight=20.0,
    augmentation="colour,translation,cutout",  # there are only 3,440 images to learn from
    eval_every=2_500,
)


EXPERIMENT = Experiment(
    file=__file__,
    family="GAN",
    summary="StyleGAN2",
    data="emoji, --data ...",
    expected_time="34 min on 1 CPU core",
    presets={
        "quick": DEFAULT.replace(
            steps=40,
            channel_base=512,
            channel_max=16,
            sample_every=20,
            checkpoint_every=20,
            eval_metrics=None,
            best_metric=None,
        ),
        "default": DEFAULT,
        # configuration F; R1 as for the 32x32 images of the paper on adaptive augmentation (table 7)
        "full": DEFAULT.replace(
            **CONFIGURATION_F, batch_size=64, steps=390_000, r1_weight=0.01, checkpoint_every=10_000, eval_every=10_000
        ),
    },
    load_data=lambda config: load_images(config.data),
    build_model=build_stylegan2,
)


if __name__ == "__main__":
    EXPERIMENT.main()
