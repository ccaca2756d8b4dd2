"""The data files of the package. `jaxgen.data.embedded_sets` reads them, LICENCES.md says whose they are."""
