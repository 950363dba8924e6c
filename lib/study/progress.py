"""Progress of long work, in a line that overwrites itself."""

from collections.abc import Callable


def counter(what: str) -> Callable[[int, int], None]:
    """A reporter of (done, in all), such as "64 of 227 films"; in some twenty steps."""

    def report(done: int, count: int) -> None:
        if done < count and done % max(1, count // 20):
            return  # a line for each of 100,000 films would take longer than the films
        print(f"{done} of {count} {what}", end="\n" if done == count else "\r", flush=True)

    return report
