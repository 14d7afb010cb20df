"""What presenting a refresh token amounts to, one rule at a time."""

import itertools
import json

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portcullis.errors import InfrastructureError
from portcullis.evidence import access_token
from portcullis.evidence.errors import ProofReplayedError
from portcullis.identity import families, sessions, tokens
from portcullis.identity import tables as names
from portcullis.identity.families import InvalidGrantError, Keys, RefreshToken
from tests.contract.identity import records
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import TOKEN, Family, Person, admit, now, proof_of
from tests.contract.identity.records import unchanged
from tests.support import faults, jws
from tests.support.dpop import ProofKey
from tests.support.faults import TRANSACTION, Proxy

REUSED = ["refresh-token-reused"]

pytestmark = pytest.mark.contract


def _refused_at_the_door(family: Family, text: str) -> None:
    with pytest.raises(InvalidGrantError):
        family.refresh(text)


def _ended(family: Family, *successors: str) -> None:
    """Demand that the family ended, once, for reuse, and that none of its tokens works."""
    assert family.stored.status == sessions.ENDED
    assert records.ends(family.account, family.sid) == REUSED
    for text in (family.refresh_token, *successors):
        _refused_at_the_door(family, text)
    assert records.ends(family.account, family.sid) == REUSED


# The tag


def _spoilt(text: str) -> dict[str, str]:
    prefix, handle, generation, secret, tag = text.split(".")
    other = jws.b64url(bytes(32))
    return {
        "another tag": ".".join((prefix, handle, generation, secret, jws.b64url(bytes(16)))),
        "a shorter tag": ".".join((prefix, handle, generation, secret, tag[:-2])),
        "no tag": ".".join((prefix, handle, generation, secret, "")),
        "another generation": ".".join((prefix, handle, "1", secret, tag)),
        "another handle": ".".join((prefix, other, generation, secret, tag)),
        "another secret": ".".join((prefix, handle, generation, other, tag)),
        "another version": ".".join(("prt2", handle, generation, secret, tag)),
        "four parts": ".".join((prefix, handle, generation, tag)),
        "six parts": text + "." + tag,
        "padding": text + "==",
        "a space": text + " ",
        "a letter beyond ASCII": text[:-1] + "é",
        "a lone surrogate": text[:-1] + "\ud800",
        "a digit beyond ASCII": ".".join((prefix, handle, "\u0662", secret, tag)),
        "too long": text + "A" * families.CHARS_MAX,
        "nothing": "",
    }


def test_a_bad_tag_causes_no_io(product: Product, proxy: Proxy, family: Family) -> None:
    """A token that is not ours, in whatever way, is refused without any request to anybody."""
    _, keys = product
    family = Family(family.account, family.sid, family.key, family.refresh().refresh_token, "")
    proxy.calls.clear()
    signed = keys.calls.copy()
    for spoilt in _spoilt(family.refresh_token).values():
        _refused_at_the_door(family, spoilt)
    assert not proxy.calls
    assert keys.calls == signed
    family.refresh()


def test_the_sid_does_not_name_the_family(family: Family) -> None:
    """Who knows an access token's claims cannot even name the family in a refresh token."""
    claims = json.dumps(jws.claims_of(family.access_token))
    handle = family.refresh_token.split(".")[1]
    assert handle not in claims
    assert jws.b64url_decode(handle)[16:].hex() not in claims
    assert family.sid not in family.refresh_token


# The current token


def test_the_current_token_of_another_key_is_refused_and_changes_nothing(
    product: Product, family: Family
) -> None:
    """A reader of logs with a live token and a key of his own neither gets in nor ends anything."""
    with unchanged(product[0]), pytest.raises(InvalidGrantError):
        family.refresh(key=ProofKey())
    assert family.refresh().refresh_token != family.refresh_token


def test_a_secret_that_was_never_current_is_refused_and_changes_nothing(
    product: Product, family: Family
) -> None:
    """A good tag over the current generation with another secret is no token of the family."""
    keys = tokens.family_keys()
    real = keys.parse(family.refresh_token)
    for generation in (real.generation, real.generation + 1):
        stray = keys.text(keys.mint(real.handle, generation))
        with unchanged(product[0]), pytest.raises(InvalidGrantError):
            family.refresh(stray)
    family.refresh()


def test_a_family_that_was_never_started_is_refused(product: Product, person: Person) -> None:
    """A good tag over a handle that no session has is refused and changes nothing."""
    keys = tokens.family_keys()
    unborn = keys.mint(families.Handle.new(person.handle), 1)
    family = Family(person.account, unborn.handle.sid, person.key, keys.text(unborn), "")
    with unchanged(product[0]), pytest.raises(InvalidGrantError):
        family.refresh()


def test_rotation_binds_the_new_tokens_to_the_same_session_and_key(family: Family) -> None:
    """A refresh yields a new pair of the next generation for the same session, key and epoch."""
    before = jws.claims_of(family.access_token)
    rotated = family.refresh()
    after = jws.claims_of(rotated.access_token)
    kept = {"iss", "aud", "sub", "client_id", "cnf", "sid", "epoch", "acr", "amr", "auth_time"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert (before["gen"], after["gen"]) == (1, 2)
    assert before["jti"] != after["jti"]
    assert rotated.expires_in_s == access_token.LIFETIME_S
    assert admit(family.key, rotated.access_token).sid == family.sid


# A spent token


@pytest.mark.parametrize("ahead", [2, 3, 40])
def test_a_spent_token_ends_the_family_however_old(person: Person, ahead: int) -> None:
    """A token of any earlier generation than the predecessor's ends the session at once."""
    family = person.session_at(1)
    text = family.refresh_token
    for _ in range(ahead):
        text = family.refresh(text).refresh_token
    _refused_at_the_door(family, family.refresh_token)
    _ended(family, text)


def test_a_spent_token_of_another_key_ends_the_family(family: Family) -> None:
    """A spent token is proof of a theft whoever presents it, within the retry's window too."""
    successor = family.refresh().refresh_token
    with pytest.raises(InvalidGrantError):
        family.refresh(key=ProofKey())
    _ended(family, successor)


def test_reuse_raises_an_alarm_and_ends_no_other_session(
    person: Person, caplog: pytest.LogCaptureFixture
) -> None:
    """A reuse is logged as such, without the token, and other sessions of the account live on."""
    theirs, other = person.session_at(5), person.session_at(5)
    theirs.refresh(theirs.refresh().refresh_token)
    caplog.clear()
    _refused_at_the_door(theirs, theirs.refresh_token)
    (alarm,) = caplog.records
    assert (alarm.levelname, alarm.getMessage()) == ("WARNING", "refresh-token-reused")
    _, handle, _, secret, _ = theirs.refresh_token.split(".")
    assert not any(part in repr(vars(alarm)) for part in (handle, secret))
    other.refresh()


# The sealed retry


def test_a_retry_gets_the_same_refresh_token_and_a_new_access_token(family: Family) -> None:
    """Who lost the answer gets the same successor, another access token, and goes on with both."""
    rotated = family.refresh()
    retried = family.refresh()
    assert retried.refresh_token == rotated.refresh_token != family.refresh_token
    assert retried.access_token != rotated.access_token
    assert jws.claims_of(retried.access_token)["gen"] == 2
    admit(family.key, retried.access_token)
    admit(family.key, rotated.access_token)
    family.refresh(retried.refresh_token)
    assert family.stored.generation == 3


def test_a_retry_is_granted_in_the_last_second_of_its_window(person: Person) -> None:
    """29 seconds after the rotation the predecessor still gets its successor."""
    family, at_s = person.session_at(1), now()
    rotated = family.refresh(at_s=at_s)
    retried = family.refresh(at_s=at_s + sessions.RETRY_WINDOW_S - 1)
    assert retried.refresh_token == rotated.refresh_token


@pytest.mark.parametrize("late_s", [0, 1, 3_600])
def test_a_retry_after_its_window_ends_the_family(person: Person, late_s: int) -> None:
    """From the 30th second on the predecessor is a spent token."""
    family, at_s = person.session_at(1), now()
    rotated = family.refresh(at_s=at_s)
    with pytest.raises(InvalidGrantError):
        family.refresh(at_s=at_s + sessions.RETRY_WINDOW_S + late_s)
    _ended(family, rotated.refresh_token)


def test_a_second_retry_ends_the_family(family: Family) -> None:
    """A generation has one retry; a thief beside its owner does not get the second."""
    rotated = family.refresh()
    family.refresh()
    _refused_at_the_door(family, family.refresh_token)
    _ended(family, rotated.refresh_token)


def test_a_retry_after_the_gate_saw_its_successor_ends_the_family(family: Family) -> None:
    """Once an access token of the successor passed the gate, its answer was not lost."""
    rotated = family.refresh()
    admit(family.key, rotated.access_token)
    _refused_at_the_door(family, family.refresh_token)
    _ended(family, rotated.refresh_token)


def test_a_retry_after_its_successor_was_refreshed_ends_the_family(family: Family) -> None:
    """Once the successor was presented, the predecessor is spent."""
    rotated = family.refresh()
    onward = family.refresh(rotated.refresh_token)
    _refused_at_the_door(family, family.refresh_token)
    _ended(family, rotated.refresh_token, onward.refresh_token)


def test_the_sight_of_an_older_access_token_leaves_the_retry(family: Family) -> None:
    """That the gate saw the predecessor's own access token says nothing about the successor."""
    admit(family.key, family.access_token)
    rotated = family.refresh()
    admit(family.key, family.access_token)
    assert family.refresh().refresh_token == rotated.refresh_token


def test_each_generation_has_its_own_retry(family: Family) -> None:
    """The retry of one generation does not use up the next one's."""
    text = family.refresh_token
    for _ in range(3):
        rotated = family.refresh(text)
        assert family.refresh(text).refresh_token == rotated.refresh_token
        text = rotated.refresh_token
    assert family.stored.generation == 4


def test_a_dump_does_not_open_what_is_sealed(product: Product, person: Person) -> None:
    """No stored value, as a key or as a secret, with any stored value as pepper, opens a seal."""
    family = person.sign_in()
    family.refresh()
    session = family.stored
    context = sessions.seal_context(
        session.sid,
        generation=session.generation,
        jkt=session.jkt,
        rotated_at=session.rotated_at,
    )
    spent = tokens.family_keys().parse(family.refresh_token)
    nonce, box = session.sealed[: families.NONCE_BYTES], session.sealed[families.NONCE_BYTES :]
    stolen = records.blobs(product[0])
    assert {session.sealed, session.current, session.previous} <= stolen
    for key in stolen:
        if len(key) in {16, 24, 32}:
            with pytest.raises(InvalidTag):
                AESGCM(key).decrypt(nonce, box, context)
    for secret, pepper in itertools.product(stolen, {b"", *stolen}):
        guess = RefreshToken(spent.handle, spent.generation, secret)
        with pytest.raises(InvalidGrantError):
            Keys(pepper).unseal(session.sealed, spent=guess, context=context)
    for pepper in {b"", *stolen}:
        # A dump and the spent token: a log's reader with a backup.
        with pytest.raises(InvalidGrantError):
            Keys(pepper).unseal(session.sealed, spent=spent, context=context)
    for secret in stolen:
        # A dump and the pepper: a stolen function without the client's token.
        guess = RefreshToken(spent.handle, spent.generation, secret)
        with pytest.raises(InvalidGrantError):
            tokens.family_keys().unseal(session.sealed, spent=guess, context=context)
    successor = tokens.family_keys().unseal(session.sealed, spent=spent, context=context)
    assert successor.digest == session.current


def test_no_refresh_secret_is_stored(product: Product, family: Family) -> None:
    """The tables hold digests of refresh secrets, never a secret or a token."""
    texts = [family.refresh_token, family.refresh().refresh_token]
    dump = b"\n".join(records.blobs(product[0]))
    for text in texts:
        secret = text.split(".")[3]
        assert secret.encode() not in dump
        assert jws.b64url_decode(secret) not in dump
        assert text.encode() not in dump
    for pepper in names.refresh_secrets():
        assert pepper not in dump


# Time


def test_an_idle_session_is_refused_and_not_ended(product: Product, person: Person) -> None:
    """A token that was not used for seven days is refused; that is no theft."""
    family, at_s = person.session_at(1), now()
    idle = family.stored.idle_expires
    assert idle in range(at_s + sessions.IDLE_S - 2, at_s + sessions.IDLE_S + 3)
    for late in (idle, idle + 1, idle + 86_400):
        with unchanged(product[0]), pytest.raises(InvalidGrantError):
            family.refresh(at_s=late)
    family.refresh(at_s=idle - 1)


def test_use_prolongs_the_idle_time_and_never_the_absolute(
    product: Product, person: Person
) -> None:
    """However often it is used, a session ends thirty days after its sign-in."""
    family, text = person.session_at(1), ""
    end, at_s = family.stored.absolute_expires, now()
    text = family.refresh_token
    while (at_s := at_s + sessions.IDLE_S - 10) < end:
        text = family.refresh(text, at_s=at_s).refresh_token
        assert family.stored.idle_expires == min(at_s + sessions.IDLE_S, end)
        assert family.stored.absolute_expires == end
    last = family.refresh(text, at_s=end - 1)
    for late in (end, end + 1):
        with unchanged(product[0]), pytest.raises(InvalidGrantError):
            family.refresh(last.refresh_token, at_s=late)
        with unchanged(product[0]), pytest.raises(InvalidGrantError):
            family.refresh(text, at_s=late)  # not even a retry


@pytest.mark.parametrize("left_s", [1, 100, 899])
def test_an_access_token_never_outlives_its_session(person: Person, left_s: int) -> None:
    """Near the absolute end rotation and retry yield access tokens that end with the session."""
    family = person.session_at(1)
    start, end = family.stored.rotated_at, family.stored.absolute_expires
    text = family.refresh_token
    for at_s in range(start + sessions.IDLE_S - 1, end - left_s, sessions.IDLE_S - 1):
        text = family.refresh(text, at_s=at_s).refresh_token
    for _ in ("rotation", "retry"):
        issued = family.refresh(text, at_s=end - left_s)
        assert jws.claims_of(issued.access_token)["exp"] == end
        assert issued.expires_in_s == left_s


# The account's standing


def test_a_killed_account_refreshes_nothing(product: Product, person: Person) -> None:
    """After the epoch moved on, current, predecessor and spent tokens are refused alike."""
    family = person.session_at(4)
    rotated = family.refresh()
    records.kill(product[0], person.account)
    for text in (rotated.refresh_token, family.refresh_token):
        with unchanged(product[0]), pytest.raises(InvalidGrantError):
            family.refresh(text)


def test_a_restricted_account_refreshes_nothing(product: Product, person: Person) -> None:
    """While the standing does not allow it, no token is rotated or retried, and none is spent."""
    family = person.session_at(4)
    rotated = family.refresh()
    records.restrict(product[0], person.account)
    for text in (rotated.refresh_token, family.refresh_token):
        with unchanged(product[0]), pytest.raises(InvalidGrantError):
            family.refresh(text)


# What spends nothing


@pytest.mark.parametrize("lost_answer", [False, True], ids=["rotation", "retry"])
def test_a_failure_of_kms_spends_nothing(
    product: Product, family: Family, *, lost_answer: bool
) -> None:
    """When the signature cannot be had, token and proof stay good."""
    tables, keys = product
    if lost_answer:
        family.refresh()
    proof = proof_of(family.key, TOKEN)
    keys.failing.add("Sign")
    with unchanged(tables), pytest.raises(InfrastructureError):
        family.refresh(proof=proof)
    keys.failing.clear()
    family.refresh(proof=proof)


def test_a_spent_token_reaches_no_key(product: Product, person: Person) -> None:
    """A spent token is judged before any signature is asked for."""
    _, keys = product
    family = person.session_at(1)
    family.refresh(family.refresh().refresh_token)
    signed = keys.calls["Sign"]
    _refused_at_the_door(family, family.refresh_token)
    assert keys.calls["Sign"] == signed


@pytest.mark.parametrize("operation", ["BatchGetItem", TRANSACTION])
def test_a_failure_of_the_store_spends_nothing(
    product: Product, proxy: Proxy, family: Family, operation: str
) -> None:
    """When the store does not answer, nothing is granted and the token stays good."""
    proxy.fail_before(operation, times=faults.ALWAYS)
    proof = proof_of(family.key, TOKEN)
    with unchanged(product[0]), pytest.raises(InfrastructureError):
        family.refresh(proof=proof)
    proxy.heal()
    family.refresh(proof=proof)


def test_half_an_answer_of_the_store_is_none(
    product: Product, proxy: Proxy, family: Family
) -> None:
    """Keys that the store leaves unprocessed are not taken for absent items."""
    proxy.leave_unprocessed()
    with unchanged(product[0]), pytest.raises(InfrastructureError):
        family.refresh()
    family.refresh()


# The proof


@pytest.mark.parametrize("lost_answer", [False, True], ids=["rotation", "retry"])
def test_a_replayed_proof_spends_nothing(
    product: Product, person: Person, *, lost_answer: bool
) -> None:
    """A good token with a proof that was used before is refused, and neither is changed."""
    used, family = proof_of(person.key, TOKEN), person.session_at(1)
    person.session_at(1).refresh(proof=used)
    if lost_answer:
        family.refresh()
    with unchanged(product[0]), pytest.raises(ProofReplayedError):
        family.refresh(proof=used)
    family.refresh()


def test_the_same_request_twice_is_a_replay(product: Product, family: Family) -> None:
    """Token and proof copied off the wire get nothing, not even the retry."""
    proof = proof_of(family.key, TOKEN)
    rotated = family.refresh(proof=proof)
    with unchanged(product[0]), pytest.raises(ProofReplayedError):
        family.refresh(proof=proof)
    family.refresh(rotated.refresh_token)


def test_a_refused_rotation_uses_no_proof_up(
    product: Product, proxy: Proxy, family: Family
) -> None:
    """The proof is used up in the rotation's own transaction: both happen, or neither."""
    proof = proof_of(family.key, TOKEN)
    moved = proxy.meanwhile(TRANSACTION, lambda: records.kill(product[0], family.account))
    with pytest.raises(InvalidGrantError):
        family.refresh(proof=proof)
    assert moved.hits == 1
    assert proof.single_use_id.encode() not in b"\n".join(records.blobs(product[0]))
    assert family.stored.generation == 1
