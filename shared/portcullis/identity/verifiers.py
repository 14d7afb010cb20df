"""Password verifiers: Argon2id here, and a MAC under a key that never leaves KMS.

What is stored is the PHC string *without* its hash and the MAC of what Argon2 put out: whoever has
the table and all its backups has nothing to guess against. The MAC binds account and verifier, so
a row that was copied to another account never verifies there.
"""

import base64
import functools
import re
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from portcullis import entropy
from portcullis.aws import kms
from portcullis.aws.dynamodb import Item
from portcullis.aws.kms import MacMismatchError
from portcullis.errors import InfrastructureError
from portcullis.evidence.encoding import b64url, layout
from portcullis.settings import setting, settings_list

SALT_BYTES = 16
OUTPUT_BYTES = 32
TAG_BYTES = 32
ARGON2_VERSION = 19
"""RFC 9106 is version 0x13."""
_LAYOUT = "portcullis/pw/v1"
_PHC = re.compile(
    rf"\$argon2id\$v={ARGON2_VERSION}"
    r"\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=([1-9])\$([A-Za-z0-9+/]{22})"
)


class WrongPasswordError(Exception):
    """The password is not the one behind the verifier, or there is no verifier."""


class UnusableVerifierError(InfrastructureError):
    """A stored row or a setting names a cost, a key or a form that is none of ours."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The cost of Argon2id (RFC 9106 section 3.1)."""

    memory_kib: int
    iterations: int
    lanes: int


ACCEPTED = frozenset(
    {
        Parameters(65_536, 3, 1),  # one virtual CPU: docs/decisions/0013
        Parameters(65_536, 3, 2),  # two of them
        Parameters(65_536, 3, 4),  # RFC 9106 section 4, second recommendation
        Parameters(131_072, 3, 1),  # the next step
    }
)
"""What a setting may ask for and a stored row may name. Who can write the table must not choose
what sign-in computes: neither 16 GiB, nor so little that his guesses are cheap."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is stored of a password."""

    parameters: Parameters
    salt: bytes
    pepper_key: str
    """The ARN of the HMAC key."""
    tag: bytes

    @property
    def phc(self) -> str:
        """Parameters and salt as a PHC string that ends before its hash."""
        cost, salt = self.parameters, base64.b64encode(self.salt).rstrip(b"=").decode()
        return (
            f"$argon2id$v={ARGON2_VERSION}"
            f"$m={cost.memory_kib},t={cost.iterations},p={cost.lanes}${salt}"
        )


def to_item(verifier: Verifier) -> dict[str, Any]:
    """Return a verifier as attributes of an item, without its key."""
    return {"phc": verifier.phc, "pepper_key": verifier.pepper_key, "tag": verifier.tag}


def from_item(item: Item) -> Verifier:
    """Return the verifier in a stored item.

    Raises:
        UnusableVerifierError: it is none that we make.
    """
    phc, pepper_key, tag = item["phc"], item["pepper_key"], bytes(item["tag"])
    found = _PHC.fullmatch(phc)
    if found is None:
        raise UnusableVerifierError("PHC string")
    memory_kib, iterations, lanes, salt = found.groups()
    parameters = Parameters(int(memory_kib), int(iterations), int(lanes))
    if parameters not in ACCEPTED:
        raise UnusableVerifierError("parameters")
    if pepper_key not in _pepper_keys():
        raise UnusableVerifierError("pepper key")
    verifier = Verifier(parameters, base64.b64decode(f"{salt}=="), pepper_key, tag)
    if verifier.phc != phc or len(tag) != TAG_BYTES:
        raise UnusableVerifierError("salt or tag")
    return verifier


def make(password: str, *, account: str, verifier_id: str) -> Verifier:
    """Return a new verifier of a password (as ``passwords.accept`` returned it) for one account.

    Raises:
        KeyServiceError: KMS did not make the MAC.
        UnusableVerifierError: the settings ask for a cost that is none of ours.
    """
    parameters, pepper_key = _current_parameters(), _pepper_keys()[0]
    unsealed = Verifier(parameters, entropy.random_bytes(SALT_BYTES), pepper_key, b"")
    message = _message(password, unsealed, account=account, verifier_id=verifier_id)
    tag = kms.generate_mac(pepper_key, message)
    return Verifier(parameters, unsealed.salt, pepper_key, tag)


def check(password: str, verifier: Verifier | None, *, account: str, verifier_id: str) -> None:
    """Return if the password (as ``passwords.normal`` returned it) is the one behind *verifier*.

    Without a verifier the same is computed and the same is asked of KMS, about a row that no
    password opens: the answer takes as long. Account and verifier id may then be any. Only a row
    whose parameters are not the current ones differs in time, until it is made anew.

    Raises:
        WrongPasswordError: it is not, or there is none.
        KeyServiceError: KMS did not judge.
        UnusableVerifierError: the settings ask for a cost that is none of ours.
    """
    judged = _decoy() if verifier is None else verifier
    message = _message(password, judged, account=account, verifier_id=verifier_id)
    try:
        kms.verify_mac(judged.pepper_key, message, judged.tag)
    except MacMismatchError:
        raise WrongPasswordError from None
    if verifier is None:
        raise WrongPasswordError


def is_stale(verifier: Verifier) -> bool:
    """Return whether a verifier made today would have another cost or key.

    Raises:
        UnusableVerifierError: the settings ask for a cost that is none of ours.
    """
    current = (_current_parameters(), _pepper_keys()[0])
    return (verifier.parameters, verifier.pepper_key) != current


def _message(password: str, verifier: Verifier, *, account: str, verifier_id: str) -> bytes:
    cost = verifier.parameters
    output = Argon2id(
        salt=verifier.salt,
        length=OUTPUT_BYTES,
        iterations=cost.iterations,
        lanes=cost.lanes,
        memory_cost=cost.memory_kib,
    ).derive(password.encode())
    return layout(_LAYOUT, account, verifier_id, verifier.phc, b64url(output))


@functools.cache
def _decoy() -> Verifier:
    """The row of whoever has none, drawn once per environment."""
    salt, tag = entropy.random_bytes(SALT_BYTES), entropy.random_bytes(TAG_BYTES)
    return Verifier(_current_parameters(), salt, _pepper_keys()[0], tag)


def _current_parameters() -> Parameters:
    parameters = Parameters(
        int(setting("ARGON2_MEMORY_KIB")),
        int(setting("ARGON2_ITERATIONS")),
        int(setting("ARGON2_LANES")),
    )
    if parameters not in ACCEPTED:
        raise UnusableVerifierError("configured parameters")
    return parameters


def _pepper_keys() -> tuple[str, ...]:
    """The ARNs of the HMAC keys: the first makes, all verify, and no row can name another."""
    return settings_list("PEPPER_KEYS")
