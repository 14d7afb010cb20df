"""Password verifiers with a key service: what they bind, what they refuse, what they cost.

Argon2 runs with the parameters of production: there are no cheaper ones to test with.
"""

import base64
import hashlib
import hmac
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from portcullis.aws import clients, kms
from portcullis.aws.kms import KeyServiceError, MacMismatchError
from portcullis.identity import verifiers
from portcullis.identity.verifiers import (
    Parameters,
    UnusableVerifierError,
    Verifier,
    WrongPasswordError,
)
from tests.support.key_service import KeyService
from tests.support.tables import REGION

ACCOUNT, VERIFIER_ID = "a" * 25 + "b", "c" * 25 + "d"
PASSWORD = "kettle wombat 3 lassó"
PEPPER, OLD_PEPPER, OTHER_KEY = "pepper-2", "pepper-1", "login-index"
SAMPLES = 15

pytestmark = pytest.mark.contract


@pytest.fixture(autouse=True)
def _product(keys: KeyService, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fresh environment that asks this key service, and needs no table."""
    settings = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL_KMS": keys.endpoint,
        "PEPPER_KEYS": PEPPER,
        "ARGON2_MEMORY_KIB": "65536",
        "ARGON2_ITERATIONS": "3",
        "ARGON2_LANES": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    _forget()
    yield
    clients.client("kms").close()
    _forget()


def _forget() -> None:
    clients._client.cache_clear()
    verifiers._decoy.cache_clear()


def made(password: str = PASSWORD) -> Verifier:
    """Return a verifier of the account."""
    return verifiers.make(password, account=ACCOUNT, verifier_id=VERIFIER_ID)


def check(
    verifier: Verifier | None,
    *,
    password: str = PASSWORD,
    account: str = ACCOUNT,
    verifier_id: str = VERIFIER_ID,
) -> None:
    """Check a password."""
    verifiers.check(password, verifier, account=account, verifier_id=verifier_id)


def wrong(verifier: Verifier | None, **given: str) -> None:
    """The password must be told wrong."""
    with pytest.raises(WrongPasswordError):
        check(verifier, **given)


def test_the_right_password_is_right_and_others_are_wrong() -> None:
    """Exactly the password that was set opens the account, from the stored row too."""
    verifier = made()
    check(verifier)
    check(verifiers.from_item(verifiers.to_item(verifier)))
    for other in ("", PASSWORD.upper(), f"{PASSWORD} ", PASSWORD[:-1], f"{PASSWORD}\0"):
        wrong(verifier, password=other)


def test_a_row_copied_to_another_account_never_verifies() -> None:
    """Who writes his own verifier into another's row does not sign in as the other."""
    verifier = made()
    wrong(verifier, account="e" * 26)
    wrong(verifier, verifier_id="e" * 26)
    wrong(verifier, account=VERIFIER_ID, verifier_id=ACCOUNT)


def test_a_field_cannot_borrow_from_its_neighbour() -> None:
    """Account and verifier id are bound each by itself, not as one text."""
    verifier = made()
    wrong(verifier, account=ACCOUNT + VERIFIER_ID[:1], verifier_id=VERIFIER_ID[1:])


def test_a_row_whose_cost_was_changed_never_verifies() -> None:
    """Parameters and salt are under the MAC: they cannot be made cheaper afterwards."""
    verifier = made()
    wrong(replace(verifier, parameters=Parameters(131_072, 3, 1)))
    wrong(replace(verifier, salt=bytes(16)))
    wrong(replace(verifier, tag=bytes(32)))


def test_no_account_has_no_right_password() -> None:
    """Without a verifier every password is wrong."""
    wrong(None)


def test_no_account_has_no_right_password_even_if_kms_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key service that calls any MAC right still opens nothing that does not exist."""
    monkeypatch.setattr(kms, "verify_mac", lambda *_: None)
    wrong(None)


def test_the_decoy_is_drawn_for_each_environment() -> None:
    """No two environments share the row of nobody, and one keeps its own."""
    first = verifiers._decoy()
    assert verifiers._decoy() is first
    verifiers._decoy.cache_clear()
    assert verifiers._decoy().salt != first.salt
    assert verifiers._decoy().tag != first.tag


def test_the_tag_is_the_documented_mac(keys: KeyService) -> None:
    """It is HMAC-SHA256 over version, account, verifier, PHC string and output, each behind its
    length.
    """
    verifier = made()
    output = Argon2id(
        salt=verifier.salt, length=32, iterations=3, lanes=1, memory_cost=65_536
    ).derive(PASSWORD.encode())
    salt = base64.b64encode(verifier.salt).decode().rstrip("=")
    parts = [
        b"portcullis/pw/v1",
        ACCOUNT.encode(),
        VERIFIER_ID.encode(),
        f"$argon2id$v=19$m=65536,t=3,p=1${salt}".encode(),
        base64.urlsafe_b64encode(output).rstrip(b"="),
    ]
    message = b"".join(len(part).to_bytes(4) + part for part in parts)
    assert verifier.tag == hmac.digest(keys.mac_key(PEPPER), message, hashlib.sha256)


def test_what_is_stored_has_no_hash_in_it() -> None:
    """The row ends before Argon2's output: there is nothing to guess against."""
    item = verifiers.to_item(made())
    assert set(item) == {"phc", "pepper_key", "tag"}
    assert re.fullmatch(r"\$argon2id\$v=19\$m=65536,t=3,p=1\$[A-Za-z0-9+/]{22}", item["phc"])
    assert item["pepper_key"] == PEPPER
    assert len(item["tag"]) == 32


def test_no_two_verifiers_are_alike() -> None:
    """The same password has another salt and another tag each time."""
    first, second = made(), made()
    assert first.salt != second.salt
    assert first.tag != second.tag


BAD_ROWS: dict[str, dict[str, Any]] = {
    "16 GiB": {"phc": "$argon2id$v=19$m=16777216,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA"},
    "1 KiB": {"phc": "$argon2id$v=19$m=1,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA"},
    "one iteration": {"phc": "$argon2id$v=19$m=65536,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA"},
    "nine lanes": {"phc": "$argon2id$v=19$m=65536,t=3,p=9$AAAAAAAAAAAAAAAAAAAAAA"},
    "a cost with a zero before": {"phc": "$argon2id$v=19$m=065536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA"},
    "Argon2i": {"phc": "$argon2i$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA"},
    "the old version": {"phc": "$argon2id$v=16$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA"},
    "a hash": {"phc": "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAA"},
    "a short salt": {"phc": "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAA"},
    "stray bits in the salt": {"phc": "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAB"},
    "a line's end": {"phc": "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA\n"},
    "nothing": {"phc": ""},
    "a key of the writer's own": {"pepper_key": OTHER_KEY},
    "a key that was retired": {"pepper_key": OLD_PEPPER},
    "no key": {"pepper_key": ""},
    "a short tag": {"tag": bytes(31)},
    "a long tag": {"tag": bytes(33)},
    "no tag": {"tag": b""},
}


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_row_that_is_none_of_ours_is_not_computed(bad: str, keys: KeyService) -> None:
    """Who can write the table chooses neither cost nor key: such a row is refused at reading."""
    item = {
        "phc": "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA",
        "pepper_key": PEPPER,
        "tag": bytes(32),
    }
    verifiers.from_item(item)
    with pytest.raises(UnusableVerifierError):
        verifiers.from_item({**item, **BAD_ROWS[bad]})
    assert not keys.calls


def test_an_old_pepper_verifies_until_it_is_retired(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key makes, every listed key verifies, and a row under an older one is stale."""
    monkeypatch.setenv("PEPPER_KEYS", OLD_PEPPER)
    old = made()
    assert not verifiers.is_stale(old)
    monkeypatch.setenv("PEPPER_KEYS", f"{PEPPER},{OLD_PEPPER}")
    check(verifiers.from_item(verifiers.to_item(old)))
    assert verifiers.is_stale(old)
    new = made()
    assert new.pepper_key == PEPPER
    assert not verifiers.is_stale(new)


def test_another_cost_makes_a_row_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the settings changed, old rows still verify and are known as stale."""
    old = made()
    monkeypatch.setenv("ARGON2_LANES", "2")
    check(old)
    assert verifiers.is_stale(old)
    assert made().parameters == Parameters(65_536, 3, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ARGON2_MEMORY_KIB", "8"), ("ARGON2_ITERATIONS", "1"), ("ARGON2_LANES", "64")],
)
def test_a_setting_cannot_ask_for_a_cost_of_its_own(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cost that is in no list of ours makes nothing and checks nothing."""
    monkeypatch.setenv(name, value)
    with pytest.raises(UnusableVerifierError):
        made()
    with pytest.raises(UnusableVerifierError):
        check(None)


def test_a_password_is_neither_right_nor_wrong_without_kms(keys: KeyService) -> None:
    """A key service that fails is no wrong password, with and without an account."""
    verifier = made()
    keys.failing |= {"VerifyMac", "GenerateMac"}
    with pytest.raises(KeyServiceError):
        check(verifier)
    with pytest.raises(KeyServiceError):
        check(None)
    with pytest.raises(KeyServiceError):
        made()


def test_sign_in_only_verifies_and_setting_only_generates(keys: KeyService) -> None:
    """Each needs one right on the key, and uses it once."""
    verifier = made()
    assert keys.calls == {"GenerateMac": 1}
    keys.calls.clear()
    check(verifier)
    assert keys.calls == {"VerifyMac": 1}


def test_a_mac_is_of_one_key_and_one_message() -> None:
    """The port tells a MAC of another key or message from a key service that fails."""
    mac = kms.generate_mac(PEPPER, b"message")
    kms.verify_mac(PEPPER, b"message", mac)
    for arn, message, given in (
        (OTHER_KEY, b"message", mac),
        (PEPPER, b"another", mac),
        (PEPPER, b"message", bytes(32)),
    ):
        with pytest.raises(MacMismatchError):
            kms.verify_mac(arn, message, given)


def test_a_message_that_is_too_long_has_no_mac() -> None:
    """KMS takes 4,096 bytes; more is an error, not a wrong MAC."""
    kms.generate_mac(PEPPER, bytes(4096))
    with pytest.raises(KeyServiceError):
        kms.generate_mac(PEPPER, bytes(4097))
    with pytest.raises(KeyServiceError):
        kms.verify_mac(PEPPER, bytes(4097), bytes(32))


def test_right_wrong_and_nobody_cost_the_same(
    keys: KeyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three take one derivation of the same cost and one call, and a rank test cannot tell
    their CPU times apart.
    """
    derived: list[tuple[int, int, int]] = []

    def counted(**given: Any) -> Argon2id:
        derived.append((given["memory_cost"], given["iterations"], given["lanes"]))
        return Argon2id(**given)

    monkeypatch.setattr(verifiers, "Argon2id", counted)
    verifier = made()
    cases: dict[str, tuple[Verifier | None, str]] = {
        "right": (verifier, PASSWORD),
        "wrong": (verifier, PASSWORD[::-1]),
        "nobody": (None, PASSWORD),
    }
    times: dict[str, list[float]] = defaultdict(list)
    order = random.Random(9106)  # noqa: S311 an order, no secret
    for _ in range(SAMPLES):
        for name in order.sample(sorted(cases), len(cases)):
            derived.clear()
            keys.calls.clear()
            times[name].append(_cpu_s(*cases[name]))
            assert derived == [(65_536, 3, 1)], name
            assert keys.calls == {"VerifyMac": 1}, name
    for one, other in (("right", "wrong"), ("right", "nobody"), ("wrong", "nobody")):
        assert abs(_rank_z(times[one], times[other])) < Z_MAX, (one, other, times)


Z_MAX = 4.0
"""Of equal distributions one pair in 16,000 is further apart."""


def test_the_rank_test_can_tell_a_tenth() -> None:
    """If one kind took a tenth longer than the noise of the other, the test above would fail."""
    draw = random.Random(1)  # noqa: S311 made-up times
    quick = [draw.gauss(0.170, 0.003) for _ in range(SAMPLES)]
    slow = [1.1 * draw.gauss(0.170, 0.003) for _ in range(SAMPLES)]
    assert abs(_rank_z(quick, slow)) > Z_MAX


def _cpu_s(verifier: Verifier | None, password: str) -> float:
    began = time.process_time()
    try:
        check(verifier, password=password)
    except WrongPasswordError:
        return time.process_time() - began
    return time.process_time() - began


def _rank_z(one: list[float], other: list[float]) -> float:
    """Return Mann and Whitney's U as a standard score."""
    wins = sum((a > b) + (a == b) / 2 for a in one for b in other)
    pairs = len(one) * len(other)
    spread = statistics.NormalDist(pairs / 2, (pairs * (len(one) + len(other) + 1) / 12) ** 0.5)
    return spread.zscore(wins)
