"""The environment: the only place that reads it."""

import os


class MissingSettingError(Exception):
    """A function was deployed without a setting that it needs."""


def setting(name: str) -> str:
    """Return the setting *name*.

    Raises:
        MissingSettingError: it is absent or empty. There are no defaults: an absent wall must
            not look like a configured one.
    """
    value = os.environ.get(name, "")
    if not value:
        raise MissingSettingError(name)
    return value


def settings_list(name: str) -> tuple[str, ...]:
    """Return a comma-separated setting as its parts, in order.

    Raises:
        MissingSettingError: it is absent or empty.
    """
    return tuple(part.strip() for part in setting(name).split(","))
