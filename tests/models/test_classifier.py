"""The classifier's loss against its closed form."""

import jax
import numpy as np
import optax
import pytest
import scipy.special
from tiny import tiny_images

from jaxgen.data import example_batch
from jaxgen.models.classifier import Classifier
from jaxgen.networks.classifier import ConvClassifier

BATCH = example_batch(tiny_images(), 12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_classifiers_loss_is_the_cross_entropy(smoothing):
    network = ConvClassifier(widths=(4,), num_features=8)
    model = Classifier(network, optimizer=optax.sgd(0.0), label_smoothing=smoothing).model()
    state = model.init(jax.random.key(0), BATCH)
    _, metrics = jax.jit(model.train_step)(state, BATCH, jax.random.key(11))
    variables = {"params": state.params["classifier"], **state.model_state["classifier"]}
    logits, _ = network.apply(variables, BATCH["image"], train=True, mutable=["batch_stats"])
    logs = scipy.special.log_softmax(np.asarray(logits, np.float64), axis=-1)
    targets = np.eye(10)[np.asarray(BATCH["label"])] * (1 - smoothing) + smoothing / 10
    total, weight = metrics["classifier/loss"]
    assert float(total) == pytest.approx(-(targets * logs).sum(), rel=1e-5)
    assert float(weight) == 12.0
    hits, _ = metrics["classifier/accuracy"]
    assert float(hits) == (logs.argmax(-1) == np.asarray(BATCH["label"])).sum()
