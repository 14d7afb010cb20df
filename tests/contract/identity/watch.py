"""A clock that a test moves, and a client that goes on through hours of it."""

import pytest

from portcullis import clock
from portcullis.evidence.access_token import AccessToken
from portcullis.source import Source
from tests.contract.identity.people import SOURCE, Person, admit, family_of, now


class Watch:
    """The product's clock: it stands still until it is moved.

    Attributes:
        at_s: What it shows, in Unix seconds.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at_s = now()
        monkeypatch.setattr(clock, "now_s", lambda: self.at_s)

    def after(self, seconds: int) -> None:
        """Let so many seconds pass."""
        self.at_s += seconds


class Traveller:
    """One client of a person's, with its session, wherever it is.

    Attributes:
        family: The tokens and the key that it holds.
    """

    def __init__(self, person: Person, watch: Watch, *, at: Source = SOURCE) -> None:
        self._watch = watch
        self.family = person.sign_in(at_s=watch.at_s, source=at)

    def read(self, at: Source = SOURCE) -> AccessToken:
        """Come to the gate with a GET."""
        return admit(self.family.key, self.family.access_token, source=at)

    def write(self, at: Source = SOURCE) -> AccessToken:
        """Come to the gate with a POST."""
        return admit(self.family.key, self.family.access_token, method="POST", source=at)

    def refresh(self, at: Source = SOURCE) -> None:
        """Renew the tokens, and go on with the new ones."""
        issued = self.family.refresh(at_s=self._watch.at_s, source=at)
        self.family = family_of(issued, self.family.key)

    def retry(self, at: Source = SOURCE) -> None:
        """Renew the tokens when the first answer gets lost, and go on with the second's."""
        self.family.refresh(at_s=self._watch.at_s, source=at)
        self.refresh(at)

    def live_for(self, hours: int, *, at: Source = SOURCE) -> None:
        """Read every five minutes, and renew the tokens every ten."""
        for _ in range(hours * 6):
            for _ in range(2):
                self._watch.after(300)
                self.read(at)
            self.refresh(at)
