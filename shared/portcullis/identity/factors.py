"""Factors: every way into an account, in one item whose version each change demands.

So the last complete way in cannot be removed by two requests that each leave the other's, and a
sign-in never commits with a factor that was removed meanwhile.
"""

from dataclasses import dataclass, replace
from typing import Any

from portcullis.aws import dynamodb
from portcullis.aws.dynamodb import Item, Statement
from portcullis.errors import ConflictError, NotFoundError
from portcullis.identity import tables

PROVISIONAL_S = 86_400
"""A new factor that no older one approved is provisional this long."""
PASSKEYS_MAX = 16
RECOVERED_MAX = 4
"""Room beyond that for recoveries: an owner who lost sixteen passkeys can remove none."""


class LastFactorError(ConflictError):
    """Without this factor the account would have no complete way in."""

    code = "last-factor"
    title = "This is the last complete way into the account. Add another before removing it."


class NoSuchFactorError(NotFoundError):
    """The account has no such factor."""

    code = "no-such-factor"
    title = "This account has no such factor."


class TooManyPasskeysError(ConflictError):
    """The account holds as many passkeys as it may."""

    code = "too-many-passkeys"
    title = "This account holds as many passkeys as it may. Remove one first."


@dataclass(frozen=True, slots=True)
class EnrolledPasskey:
    """A passkey of the account. ``label`` is sealed; ``recovered``: a recovery enrolled it."""

    id: str
    credential_id: bytes
    added_at: int
    established_at: int
    recovered: bool = False
    label: bytes = b""


@dataclass(frozen=True, slots=True)
class Password:
    """The account's password: its verifier and the login name that it goes with."""

    verifier: str
    login: str
    established_at: int


@dataclass(frozen=True, slots=True)
class Totp:
    """The account's TOTP enrolment."""

    enrolment: str
    added_at: int
    established_at: int


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of one account, as of one version.

    ``codes`` names the set of recovery codes that is good; ``release`` the code that two
    operators granted, good from ``release_from``. Empty: there is none.
    """

    account: str
    version: int
    passkeys: tuple[EnrolledPasskey, ...]
    password: Password | None = None
    totp: Totp | None = None
    codes: str = ""
    release: str = ""
    release_from: int = 0

    @classmethod
    def first(cls, account: str, passkey: EnrolledPasskey) -> "Factors":
        """Return the factors of an account that is opened with *passkey*."""
        return cls(account=account, version=1, passkeys=(passkey,))

    @classmethod
    def from_item(cls, item: Item) -> "Factors":
        """Return the factors in a stored item."""
        return cls(
            account=item["account"],
            version=item["version"],
            passkeys=tuple(
                EnrolledPasskey(
                    id=one["id"],
                    credential_id=bytes(one["credential_id"]),
                    added_at=one["added_at"],
                    established_at=one["established_at"],
                    recovered=one["recovered"],
                    label=bytes(one["label"]),
                )
                for one in item["passkeys"]
            ),
            password=Password(**item["password"]) if item["password"] else None,
            totp=Totp(**item["totp"]) if item["totp"] else None,
            codes=item["codes"],
            release=item["release"],
            release_from=item["release_from"],
        )

    def to_item(self) -> dict[str, Any]:
        """Return the item to store."""
        return {**tables.factors_key(self.account), "account": self.account, **self._members()}

    def _members(self) -> dict[str, Any]:
        password, totp = self.password, self.totp
        return {
            "version": self.version,
            "passkeys": [
                {
                    "id": one.id,
                    "credential_id": one.credential_id,
                    "added_at": one.added_at,
                    "established_at": one.established_at,
                    "recovered": one.recovered,
                    "label": one.label,
                }
                for one in self.passkeys
            ],
            "password": {}
            if password is None
            else {
                "verifier": password.verifier,
                "login": password.login,
                "established_at": password.established_at,
            },
            "totp": {}
            if totp is None
            else {
                "enrolment": totp.enrolment,
                "added_at": totp.added_at,
                "established_at": totp.established_at,
            },
            "codes": self.codes,
            "release": self.release,
            "release_from": self.release_from,
        }

    def passkey(self, id_: str) -> EnrolledPasskey:
        """Return the passkey called *id_*.

        Raises:
            NoSuchFactorError: there is none.
        """
        found = next((one for one in self.passkeys if one.id == id_), None)
        if found is None:
            raise NoSuchFactorError
        return found

    def holds(self, credential_id: bytes) -> bool:
        """Return whether this passkey is one of the account's."""
        return any(one.credential_id == credential_id for one in self.passkeys)

    def established_passkeys(self, now_s: int) -> tuple[EnrolledPasskey, ...]:
        """Return the passkeys that are full factors."""
        return tuple(one for one in self.passkeys if now_s >= one.established_at)

    def has_way_in(self, now_s: int) -> bool:
        """Return whether a complete, full way in is left: a passkey, or password and TOTP."""
        pair = [one for one in (self.password, self.totp) if one is not None]
        by_pair = len(pair) == 2 and all(now_s >= one.established_at for one in pair)  # noqa: PLR2004 both
        return by_pair or bool(self.established_passkeys(now_s))

    def plus(self, passkey: EnrolledPasskey) -> "Factors":
        """Return the next version, with one passkey more.

        Raises:
            TooManyPasskeysError: there are as many as there may be.
        """
        if not passkey.recovered:
            self.demand_room()
        elif len(self.passkeys) >= PASSKEYS_MAX + RECOVERED_MAX:
            raise TooManyPasskeysError
        return self.next(passkeys=(*self.passkeys, passkey))

    def demand_room(self) -> None:
        """Demand that there is room for one passkey more.

        Raises:
            TooManyPasskeysError: there is none.
        """
        if len(self.passkeys) >= PASSKEYS_MAX:
            raise TooManyPasskeysError

    def relabelled(self, id_: str, label: bytes) -> "Factors":
        """Return the next version, with another sealed label of one passkey.

        Raises:
            NoSuchFactorError: there is no such passkey.
        """
        old = self.passkey(id_)
        new = replace(old, label=label)
        return self.next(passkeys=tuple(new if one is old else one for one in self.passkeys))

    def without(self, id_: str, *, now_s: int) -> "Factors":
        """Return the next version, without one passkey.

        Raises:
            NoSuchFactorError: there is no such passkey.
            LastFactorError: no complete way in would be left.
        """
        gone = self.passkey(id_)
        left = self.next(passkeys=tuple(one for one in self.passkeys if one != gone))
        return left.demand_way_in(now_s)

    def without_totp(self, *, now_s: int) -> "Factors":
        """Return the next version, without TOTP.

        Raises:
            NoSuchFactorError: there is none.
            LastFactorError: no complete way in would be left.
        """
        if self.totp is None:
            raise NoSuchFactorError
        return self.next(totp=None).demand_way_in(now_s)

    def demand_way_in(self, now_s: int) -> "Factors":
        """Return these factors if a complete way in is among them.

        Raises:
            LastFactorError: none is.
        """
        if not self.has_way_in(now_s):
            raise LastFactorError
        return self

    def next(self, **changes: Any) -> "Factors":
        """Return the next version with *changes*."""
        return replace(self, version=self.version + 1, **changes)

    def written_after(self, before: "Factors") -> Statement:
        """Return the write of these factors, if *before* is still what is stored."""
        return dynamodb.change(
            tables.identity(),
            tables.factors_key(self.account),
            self._members(),
            where='"version" = ?',
            given=(before.version,),
        )


def demanded(seen: Factors) -> Statement:
    """Return the demand that the factors are still the ones *seen*."""
    return dynamodb.demand(
        tables.identity(),
        tables.factors_key(seen.account),
        where='"version" = ?',
        given=(seen.version,),
    )
