"""Images from images: restoration, translation with and without pairs, stylization.

    restoration = Restoration(network, degradation=super_resolution(2), optimizer=optax.adam(5e-4))
    state = init(restoration, key, batch)
    state, metrics = train_step(restoration, state, batch, key)
    images = restore(restoration, state, small_images)

`init`, `train_step`, `eval_step`, `compare`, `baseline` and `discriminate` take a `Restoration` or a `Translation`,
which learn from pairs. `CycleGAN` and `Stylization` have functions of the same names in their modules, `cycle_gan` and
`stylization`. `degradations` says what is taken from images.
"""

from jaxgen.models.image_to_image.cycle_gan import CycleGAN
from jaxgen.models.image_to_image.degradations import (
    Degradation,
    Degraded,
    colorization,
    deblurring,
    denoising,
    inpainting,
    super_resolution,
)
from jaxgen.models.image_to_image.principle import (
    baseline,
    compare,
    discriminate,
    eval_step,
    init,
    losses,
    restoration_scores,
    train_step,
)
from jaxgen.models.image_to_image.restoration import Restoration, degrade, restore
from jaxgen.models.image_to_image.spec import Adversary, ImageToImage, Pair, PerceptualLoss
from jaxgen.models.image_to_image.stylization import Style, Stylization
from jaxgen.models.image_to_image.translation import Translation, translate

__all__ = [
    "Adversary",
    "CycleGAN",
    "Degradation",
    "Degraded",
    "ImageToImage",
    "Pair",
    "PerceptualLoss",
    "Restoration",
    "Style",
    "Stylization",
    "Translation",
    "baseline",
    "colorization",
    "compare",
    "deblurring",
    "degrade",
    "denoising",
    "discriminate",
    "eval_step",
    "init",
    "inpainting",
    "losses",
    "restoration_scores",
    "restore",
    "super_resolution",
    "train_step",
    "translate",
]
