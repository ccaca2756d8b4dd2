"""The command line `jaxgen`: one file per command, each with `main(arguments) -> None` and a docstring."""
