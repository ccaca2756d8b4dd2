"""A diffusion model of CIFAR-10 (EDM: Karras et al. 2022, https://arxiv.org/abs/2206.00364).

    python -m jaxgen.experiments.cifar10_diffusion --data-dir FOLDER --preset full

The command needs CIFAR-10 as tensorflow-datasets prepares it in FOLDER. The full preset has the sizes and settings of
the paper's class-conditional model (table 7: 128 channels, factors 2, 2, 2, four blocks at each size, attention at
16x16, batches of 512, 200 million images), but the blocks of its larger model (ADM): the noise level scales maps and
does not only shift them, and attention follows every block at 16x16 on the way up. It therefore has 60.9 million
parameters instead of 55.7. The paper's augmentation is missing, and the learning rate falls along a cosine, while that
of the paper is constant. It has not been run yet.
"""

from jaxgen.experiments._diffusion import DIFFUSION, QUICK, ImageDiffusionConfig, build_diffusion, load_diffusion_images
from jaxgen.runs.experiment import Experiment

DEFAULT = ImageDiffusionConfig().replace(**DIFFUSION, data="cifar10", width=64)


EXPERIMENT = Experiment(
    file=__file__,
    family="diffusion",
    summary="diffusion, as mnist_diffusion",
    data="CIFAR-10 (tfds)",
    expected_time="not run yet",
    presets={
        "quick": DEFAULT.replace(steps=40, sample_every=20, checkpoint_every=20, **QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=390_625,
            steps_per_dispatch=50,
            batch_size=512,
            width=128,
            patch_size=1,
            factors=(2, 2, 2),
            blocks=4,
            middle_blocks=2,
            attention_sizes=(16,),
            head_width=256,
            dropout=0.13,
            warmup_steps=19_531,  # 10 million images
            beta2=0.999,
            ema_decay=0.99929,  # half of it is forgotten after 500,000 images
            sample_every=5_000,
            checkpoint_every=5_000,
            eval_every=10_000,
        ),
    },
    load_data=load_diffusion_images,
    build_model=build_diffusion,
)


if __name__ == "__main__":
    EXPERIMENT.main()
