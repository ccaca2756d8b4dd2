"""Values of experiments that keep their best checkpoint: `GANConfig().replace(**BEST_BY_FID)`."""

BEST_BY_FID = {"eval_metrics": "fid", "best_metric": "eval/fid", "best_is": "min"}
"""The best checkpoint by the FID of samples, for data with thousands of held-out images."""
BEST_BY_KID = {"eval_metrics": "kid", "eval_samples": 1_000, "best_metric": "eval/kid", "best_is": "min"}
"""The best checkpoint by the KID of samples, for data with few held-out images, on which an FID would be biased."""
BEST_BY_LOSS = {"best_metric": "eval/autoregressive/loss", "best_is": "min"}
"""The best checkpoint by the loss of held-out sequences."""
BEST_BY_NATS = {"best_metric": "eval/autoregressive/nats", "best_is": "min"}
"""The best checkpoint by -log p(x) of held-out images."""
