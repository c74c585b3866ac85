"""What goes wrong, said to the user: every message names the file or key, what was expected and what to do."""


class TranslateError(Exception):
    """A failure with a message for the user; the command line prints it and exits with `exit_code`."""

    exit_code = 1


class ConfigurationError(TranslateError):
    """Wrong usage, recipe or data folder: nothing was started (exit code 2)."""

    exit_code = 2


class ImageError(TranslateError):
    """One image file cannot be read or written; the message starts with its path."""
