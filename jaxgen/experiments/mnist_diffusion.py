"""A diffusion model of MNIST (EDM: Karras et al. 2022, https://arxiv.org/abs/2206.00364).

    python -m jaxgen.experiments.mnist_diffusion
    python -m jaxgen.experiments.mnist_diffusion --prediction epsilon --noise-levels linear --sampler ancestral
    python -m jaxgen.experiments.mnist_diffusion --prediction flow --noise-levels flow --sampler euler
    python -m jaxgen.experiments.mnist_diffusion --network dit --width 128 --patch-size 4 --blocks 6
    jaxgen sample runs/mnist_diffusion/001 --label 7 --guidance 2 --sampler dpm_solver --sampling-steps 20
    jaxgen evaluate runs/mnist_diffusion/001 --metrics log_likelihood --importance-samples 1 --num-samples 500

The second command is DDPM (Ho et al. 2020, https://arxiv.org/abs/2006.11239), the third flow matching (Lipman et al.
2023, https://arxiv.org/abs/2210.02747), the fourth a DiT (Peebles and Xie 2023, https://arxiv.org/abs/2212.09748).
"""

from jaxgen.data import Dataset, load
from jaxgen.experiments._diffusion import DIFFUSION, QUICK, SHAPES_FIRST, DiffusionConfig, build_diffusion
from jaxgen.experiments._images import with_data_variance
from jaxgen.runs.experiment import Experiment

DEFAULT = DiffusionConfig().replace(**DIFFUSION, **SHAPES_FIRST).replace(eval_every=2_000)


def load_data(config: DiffusionConfig) -> Dataset:
    """Load MNIST."""
    del config
    return with_data_variance(load("mnist"))


EXPERIMENT = Experiment(
    file=__file__,
    family="diffusion",
    summary="diffusion: EDM, DDPM, flow matching; U-Net or DiT",
    data="MNIST",
    expected_time="110 min on 1 busy CPU core",
    presets={
        "quick": DEFAULT.replace(steps=60, sample_every=30, checkpoint_every=30, **QUICK),
        "default": DEFAULT,
        "full": DEFAULT.replace(
            steps=100_000,
            steps_per_dispatch=50,
            batch_size=256,
            width=64,
            patch_size=1,
            factors=(1, 2, 4),
            head_width=64,
            dropout=0.1,
            ema_decay=0.9995,
            sample_every=5_000,
            checkpoint_every=5_000,
            eval_every=5_000,
        ),
    },
    load_data=load_data,
    build_model=build_diffusion,
)


if __name__ == "__main__":
    EXPERIMENT.main()
