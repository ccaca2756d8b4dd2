"""The exceptions that command lines turn into one sentence."""


class UserError(Exception):
    """Bad input. The message is one sentence: what is wrong and what to do.

    Command lines print it without a traceback and exit with code 2.
    """

    exit_code = 2


class RunFailed(UserError):
    """A run could not go on (a loss that is not finite): printed in the same way, exit code 1."""

    exit_code = 1
