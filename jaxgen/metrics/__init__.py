"""Metrics of samples, which know no model. They take plain arrays; `image_scores` combines those of images."""

from jaxgen.metrics.adversarial import discriminator_accuracy
from jaxgen.metrics.distances import nearest_distances
from jaxgen.metrics.frechet import frechet_distance
from jaxgen.metrics.inception_score import classifier_score
from jaxgen.metrics.kernel import kernel_distance, squared_mmd
from jaxgen.metrics.label_scores import class_shares
from jaxgen.metrics.likelihood import (
    bits_per_character,
    bits_per_dimension,
    dequantize,
    elbo,
    importance_weighted_bound,
    importance_weighted_log_likelihood,
    kl_between_gaussians,
    kl_to_standard_normal,
    perplexity,
)
from jaxgen.metrics.linear_prediction import linear_prediction_nats
from jaxgen.metrics.neighbors import density_coverage, nearest_training, precision_recall
from jaxgen.metrics.restoration import l1, ms_ssim, psnr, ssim
from jaxgen.metrics.text import distinct_n, self_bleu

__all__ = [
    "bits_per_character",
    "bits_per_dimension",
    "class_shares",
    "classifier_score",
    "density_coverage",
    "dequantize",
    "discriminator_accuracy",
    "distinct_n",
    "elbo",
    "frechet_distance",
    "importance_weighted_bound",
    "importance_weighted_log_likelihood",
    "kernel_distance",
    "kl_between_gaussians",
    "kl_to_standard_normal",
    "l1",
    "linear_prediction_nats",
    "ms_ssim",
    "nearest_distances",
    "nearest_training",
    "perplexity",
    "precision_recall",
    "psnr",
    "self_bleu",
    "squared_mmd",
    "ssim",
]
