"""The one exception that is the user's to mend: bad input, bad flag, missing file."""


class InputError(ValueError):
    """Input that cannot be used. Its text is one line: what was wanted, what came, what to do. Exit code 2."""
