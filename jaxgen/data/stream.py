"""Batches of data that does not fit on the device, prefetched by threads."""

from collections.abc import Iterator

import numpy as np

from jaxgen.core.errors import UserError
from jaxgen.data.dataset import Source


def stream_batches(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    threads: int = 16,
    prefetch: int = 512,
) -> Iterator[dict[str, np.ndarray]]:
    """Yield this process's rows of the batches of step `start_step`, `start_step + 1`, ..., without end.

    The global batch of a step is a pure function of (`seed`, step): examples come in a new order in each epoch, each
    once an epoch, and a batch may continue into the next epoch. Process p of P receives rows p B/P to (p + 1) B/P of
    it, whatever P is.

    Args:
      source: examples by number, read from several threads at once.
      batch_size: B, for all processes together.
      seed: a non-negative int below 2**32.
      start_step: the step of the first batch.
      process_index: p.
      process_count: P, which must divide B.
      threads: number of reading threads; 0: read in the calling thread.
      prefetch: number of examples read ahead.

    Yields:
      Arrays [B / P, ...] by name.

    Raises:
      UserError: the source is empty, P does not divide the batch size, or an example cannot be read (raised in the
        consumer, at the batch that holds it).
    """
    if len(source) == 0:
        raise UserError("The data set is empty: give one with at least one example.")
    if batch_size < 1 or batch_size % process_count:
        raise UserError(f"The batch size {batch_size} must be a multiple of the {process_count} processes.")
    return _batches(
        source, batch_size // process_count, seed, start_step, process_index, process_count, threads, prefetch
    )


def _batches(
    source: Source,
    local_size: int,
    seed: int,
    start_step: int,
    process_index: int,
    process_count: int,
    threads: int,
    prefetch: int,
) -> Iterator[dict[str, np.ndarray]]:
    import grain  # takes 1.5 seconds, so only when streaming

    # Rows p*local to (p+1)*local of global batch s are batch s*P + p of the same order cut into local batches.
    dataset = grain.MapDataset.source(source).seed(seed).shuffle().repeat().batch(local_size)
    dataset = dataset.slice(slice(start_step * process_count + process_index, None, process_count))
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(1, prefetch // local_size))
    batches = iter(dataset.to_iter_dataset(options))
    while True:
        try:
            batch = next(batches)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"An example of the data set cannot be read: {type(error).__name__}: {error}") from error
        yield batch if isinstance(batch, dict) else dict(batch)
