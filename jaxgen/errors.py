"""The one exception that is the user's to mend."""


class UserError(Exception):
    """Bad input. The message is one sentence: what is wrong and what to do.

    Command lines print it without a traceback and exit with code 2 (`jaxgen.errors.EXIT_CODE`).
    """


EXIT_CODE = 2
