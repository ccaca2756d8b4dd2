"""The exceptions that command lines turn into one sentence."""


def printable(text: str) -> str:
    """Text in which control characters, such as names of files may have, are written as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class UserError(Exception):
    """Bad input. The message is one sentence: what is wrong and what to do.

    Command lines print it, on one line, without a traceback and exit with code 2.
    """

    exit_code = 2

    def __str__(self) -> str:
        return printable(super().__str__())


class RunFailed(UserError):
    """A run could not go on (a loss that is not finite): printed in the same way, exit code 1."""

    exit_code = 1
