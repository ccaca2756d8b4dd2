"""What a run is: an experiment, a run opened again, the first of two stages, weights to begin with."""
