"""Progress of long work, in a line that overwrites itself."""

from collections.abc import Callable


def counter(what: str) -> Callable[[int, int], None]:
    """A reporter of (done, in all), such as "64 of 227 films"."""

    def report(done: int, count: int) -> None:
        print(f"{done} of {count} {what}", end="\n" if done == count else "\r", flush=True)

    return report
