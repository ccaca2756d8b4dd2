"""Trains a small model of each of five families, one after another, in a process whose number of CPU devices is given.

`python families_on_devices.py FOLDER DEVICES SMALL LARGE`: the first and third are trained in batches of SMALL, the
others of LARGE, and each is evaluated on 2,000 held-out examples: hundreds of batches.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # for the small models

from tiny import tiny_diffusion, tiny_gpt, tiny_images, tiny_mlp_gan, tiny_text, tiny_vae, tiny_vq_vae

from jaxgen import TrainConfig, train
from jaxgen.models.likelihoods import bernoulli
from jaxgen.models.vae import gaussian_posterior
from jaxgen.training.parallel import use_cores_as_devices

HELD_OUT = 2_000


def main(folder: Path, devices: int, small: int, large: int) -> None:
    use_cores_as_devices(devices)
    images = tiny_images(test_examples=HELD_OUT)
    families = {
        "gan": (tiny_mlp_gan, images),
        "vae": (lambda: tiny_vae(gaussian_posterior(3), bernoulli()), images),
        "vq_vae": (tiny_vq_vae, images),
        "diffusion": (lambda: tiny_diffusion("unet"), images),
        "gpt": (tiny_gpt, tiny_text(test_examples=HELD_OUT)),
    }
    for number, (name, (build, data)) in enumerate(families.items()):
        batch_size = large if number % 2 else small
        often = {"steps_per_dispatch": 5, "log_every": 5, "sample_every": 10, "checkpoint_every": 10, "eval_every": 10}
        config = TrainConfig().replace(run_dir=folder / name, steps=20, batch_size=batch_size, devices=devices, **often)
        result = train(build(), data, config, name=name)
        print(f"{name} ended at step {int(result.state.step)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
