"""What every test has in common."""

from hypothesis import settings

LONG = 16


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a text as it reads, but a long one by its argument: it may hold a fresh key.

    A test's name must be the same in every process that collects it.
    """
    if not isinstance(val, str | bytes):
        return None
    return argname if len(val) > LONG else repr(val)


# How long one example takes says more about the machine than about the code.
settings.register_profile("product", deadline=None)
settings.load_profile("product")
