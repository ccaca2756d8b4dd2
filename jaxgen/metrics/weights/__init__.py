"""Trained weights of the package; `jaxgen.metrics.extractors` reads them, LICENCES.md says whose they are."""
