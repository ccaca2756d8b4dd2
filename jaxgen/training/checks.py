"""Checks before a run begins that its options fit the machine, the data and the model."""

import jax
from jax.sharding import Mesh

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel
from jaxgen.core.types import Metrics
from jaxgen.data.dataset import Dataset, example_batch
from jaxgen.samples.scores import value_names
from jaxgen.training.config import TrainConfig
from jaxgen.training.parallel import check_deterministic


def check_devices(config: TrainConfig, mesh: Mesh) -> None:
    """Refuse a batch that these devices cannot share, or a request for determinism that they do not provide.

    Raises:
      UserError: an option does not fit; the message says which one to change.
    """
    if config.run.batch_size % mesh.size:
        raise UserError(
            f"--batch-size {config.run.batch_size} cannot be split over {mesh.size} devices: make it a multiple of "
            f"{mesh.size}, or choose fewer --devices."
        )
    if config.hardware.deterministic:
        check_deterministic(mesh)


def check_evaluation(model: GenerativeModel, data: Dataset, config: TrainConfig) -> bool:
    """Refuse unknown metrics at once rather than at the first evaluation, which may be at the run's end.

    Returns:
      Whether the metric of --best-metric exists. An experiment's default may name one that a user's small folder of
      data does not provide.

    Raises:
      UserError: a metric is unknown; the message names those that exist.
    """
    asked = config.evaluation
    scores = value_names(model, data, asked.eval_metrics, num_samples=asked.eval_samples)
    names = [f"eval/{name}" for name in scores]
    if asked.best_metric is None:
        return True
    if data.test is not None:

        def evaluate(key: jax.Array) -> Metrics:
            batch = example_batch(data, 2)
            return model.eval_step(model.init(key, batch), batch, key)

        names = [f"eval/{name}" for name in jax.eval_shape(evaluate, jax.random.key(0))] + names
    if names and asked.best_metric not in names:
        raise UserError(f"--best-metric {asked.best_metric} is not among {', '.join(names)}: name one of these.")
    return bool(names)
