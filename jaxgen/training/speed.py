"""The speed of a run."""

import time


class Speed:
    """Examples per second, measured from the end of the first dispatch (which compiles)."""

    def __init__(self, batch_size: int):
        self.batch_size = batch_size
        self.began, self.first_end, self.first_seconds = time.monotonic(), None, 0.0
        self.rate = self.seconds_per_step = 0.0

    def absorbed(self, end: int) -> None:
        now = time.monotonic()
        if self.first_end is None:
            self.first_end, self.first_time, self.first_seconds = end, now, now - self.began
        else:
            self.seconds_per_step = (now - self.first_time) / (end - self.first_end)
            self.rate = self.batch_size / self.seconds_per_step
