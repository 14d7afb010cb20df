"""Settings: there or an error, never a default."""

import pytest

from portcullis.settings import MissingSettingError, setting, settings_list

NAME = "PORTCULLIS_TEST_SETTING"


def test_a_setting_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read at each call, not at import."""
    for value in ("one", "two", " spaced "):
        monkeypatch.setenv(NAME, value)
        assert setting(NAME) == value


@pytest.mark.parametrize("value", [None, ""])
def test_an_absent_or_empty_setting_is_an_error(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An absent wall must not look like a configured one; the error names it."""
    monkeypatch.delenv(NAME, raising=False)
    if value is not None:
        monkeypatch.setenv(NAME, value)
    for read in (setting, settings_list):
        with pytest.raises(MissingSettingError, match=NAME):
            read(NAME)


def test_a_list_is_its_parts_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are separated by commas, and spaces around them do not count."""
    for value, parts in (("a", ("a",)), ("b,a", ("b", "a")), (" a , b ", ("a", "b"))):
        monkeypatch.setenv(NAME, value)
        assert settings_list(NAME) == parts
