"""The errors that tell a user what to do, and lists in their messages."""


class DataError(ValueError):
    """The collection or a parameter is unusable; the message says what to do."""


def few(items, most=5):
    """List the first few items in words, and how many there are, for a message."""
    items = [repr(item) if isinstance(item, str) else str(item) for item in items]
    return ", ".join(items[:most]) + (f" … ({len(items)} in all)" if len(items) > most else "")


class ParamsError(ValueError):
    """A parameter is unknown, impossible or contradicts another; says which and what is allowed."""


class ArtefactError(RuntimeError):
    """An artefact that a step needs is missing, incomplete or has changed since."""
