"""The two ways in which the book says no: bad input (exit status 2) and a failure (exit status 1)."""


class UsageError(Exception):
    """What the user wrote cannot be meant; the message quotes it and says what to write instead."""


class PagsError(Exception):
    """What was asked for could not be done; the message is one line and says what to do."""


def first_line(error: BaseException) -> str:
    """The first line of what another's error says, or its name where it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
