"""How people write one name: compared without regard to case, blanks, underscores and hyphens."""

import re

import yaml

from lib.study.errors import DataError

SPLIT_WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validate", "validation"),
}


def plain(name):
    """A name as it is compared: "Viral_Pneumonia" and "viral pneumonia" are one."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def split_of(name):
    """The split that a word means, "validation" for "Val"; "" for a blank, None for another."""
    words = {word: split for split, words in SPLIT_WORDS.items() for word in words}
    return words.get(plain(name), None if name.strip() else "")


def meaning(classes, labels):
    """A function from a name, as the collection writes it, to the class that it means, or itself.

    `labels` are the classes of what is called otherwise.
    """
    exact = {**labels, **dict(zip(classes, classes, strict=True))}
    alike = {plain(name): label for name, label in exact.items()}
    if len({plain(name) for name in classes}) < len(classes):
        alike = {}  # the classes themselves differ in no more than that
    return lambda name: exact.get(name, alike.get(plain(name), name))


def to_type(key, value):
    """What to type to set a parameter, e.g. ``SET="classes=[healthy, ill]"``."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)
    text = text.removesuffix("...\n").strip()  # a word alone is a document, with its end
    return f'SET="{key}={text}"'


def check_classes(classes, labels):
    """Refuse (`DataError`) classes named twice, and labels that mean none of them."""
    if not classes or len(set(classes)) < len(classes):
        raise DataError(f"classes: found {classes}, expected distinct names. List each class once.")
    if wrong := {name: label for name, label in labels.items() if label not in classes}:
        raise DataError(f"labels: found {wrong}, expected classes of {classes}. Correct them.")


def ways_out(found, classes):
    """How to go on where a collection has names that mean no class, as lines to type."""
    single = sorted(name for name in set(found) if name and "|" not in name)
    mean = meaning(classes, {})
    unknown = [name for name in single if mean(name) not in classes]
    absent = [name for name in classes if name not in map(mean, single)]
    ways = [f"take them as the classes: {to_type('classes', single)}"] if len(single) > 1 else []
    if unknown:
        ways += [
            f"say what one means: {to_type('data.labels', {unknown[0]: [*absent, *classes][0]})}"
        ]
    ways += [f"list such films as rejected: {to_type('data.other_labels', 'reject')}"]
    return f"Correct the names, or {'; or '.join(ways)}."
