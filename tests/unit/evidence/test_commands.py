"""Commands: for one receiver, one route and thirty seconds."""

import pytest

from portcullis.evidence import access_token, approvals, commands, dpop, orders
from portcullis.evidence.commands import ENVELOPE_BYTES_MAX, Command, Envelope
from portcullis.evidence.errors import EvidenceError
from portcullis.evidence.keys import PublicKey
from tests.support import jws
from tests.unit.evidence import genuine
from tests.unit.evidence.genuine import (
    INTERNAL_ORIGIN,
    KEY,
    NOW,
    ORIGIN,
    PUBLIC,
    STRANGER,
    command_claims,
    signed,
)

OPTIONAL = {"proof", "token"}


def accept(compact: str, *, now: int = NOW, key: PublicKey = PUBLIC) -> Command:
    """Return a command of the money zone to post."""
    return commands.verify(
        commands.parse(compact),
        key=key,
        expected_issuer="money",
        expected_audience=INTERNAL_ORIGIN,
        expected_path="/postings",
        now_s=now,
    )


def refuse(compact: str, why: str, *, now: int = NOW) -> None:
    """Demand that a command is refused for one reason and no other."""
    with pytest.raises(EvidenceError, match=why):
        accept(compact, now=now)


def test_a_genuine_command_tells_its_order() -> None:
    """The raw order comes out byte for byte."""
    command = accept(genuine.command(body=jws.b64url(b'{"a": 1}\n')))
    assert command.order == b'{"a": 1}\n'


def test_a_command_without_a_user_has_no_evidence() -> None:
    """A partner's command carries neither token, proof nor approval."""
    command = accept(genuine.command(proof=jws.ABSENT, token=jws.ABSENT))
    assert (command.proof, command.token, command.approval) == (None, None, None)


def test_an_approval_comes_out_as_it_came() -> None:
    """A command judges no approval: it carries one, or none."""
    assert accept(genuine.command(approval="a.b.c")).approval == "a.b.c"
    refuse(genuine.command(approval=1), "claims")


def test_the_claimed_issuer_is_told_unverified() -> None:
    """A forged command still tells whom it claims to be from, to choose a key by."""
    forged = signed("portcullis-command+jwt", command_claims(iss="partner:a"), key=STRANGER)
    assert commands.issuer(commands.parse(forged)) == "partner:a"
    refuse(forged, "JWS signature$")


def test_claims_that_are_no_commands_claim_no_issuer() -> None:
    """The issuer of something else is not read."""
    with pytest.raises(EvidenceError, match="claims"):
        commands.issuer(commands.parse(signed("portcullis-command+jwt", {"iss": "money"})))


@pytest.mark.parametrize(
    "kid", [jws.ABSENT, None, "", "other", PublicKey.of(STRANGER.public_key()).thumbprint, []]
)
def test_a_command_that_names_another_key_is_refused(kid: object) -> None:
    """The header names the very key that is to verify."""
    refuse(signed("portcullis-command+jwt", command_claims(), kid=kid), "another key")


def test_a_command_by_another_registered_key_is_refused() -> None:
    """One partner's key does not sign for another issuer: the key comes with the expectation."""
    other = PublicKey.of(STRANGER.public_key())
    with pytest.raises(EvidenceError, match="another key"):
        accept(genuine.command(), key=other)


@pytest.mark.parametrize("issuer", ["", "Money", "money ", "partner:money", "ledger"])
def test_another_issuer_is_refused(issuer: str) -> None:
    """The issuer is compared exactly."""
    refuse(genuine.command(iss=issuer), "issuer or audience")


@pytest.mark.parametrize("audience", ["", ORIGIN, INTERNAL_ORIGIN + "/", INTERNAL_ORIGIN.upper()])
def test_another_audience_is_refused(audience: str) -> None:
    """A command for another receiver, such as the public API, is not obeyed."""
    refuse(genuine.command(aud=audience), "issuer or audience")


@pytest.mark.parametrize(
    "change",
    [
        {"htm": "GET"},
        {"htm": "post"},
        {"htu": INTERNAL_ORIGIN + "/deposits"},
        {"htu": INTERNAL_ORIGIN + "/postings/"},
        {"htu": INTERNAL_ORIGIN + "/postings?x"},
        {"htu": ORIGIN + "/postings"},
        {"htu": "/postings"},
        {"htu": INTERNAL_ORIGIN.upper() + "/postings"},
    ],
)
def test_another_route_is_refused(change: dict[str, str]) -> None:
    """Method and URL are compared exactly: both ends are ours."""
    refuse(genuine.command(**change), "another route")


@pytest.mark.parametrize("lifetime", [1, 29, 30])
def test_a_lifetime_up_to_30_s_is_accepted(lifetime: int) -> None:
    """A command lives between 1 and 30 s."""
    assert accept(genuine.command(exp=NOW + lifetime))


@pytest.mark.parametrize("lifetime", [-30, -1, 0, 31, 900, 10**18])
def test_another_lifetime_is_refused(lifetime: int) -> None:
    """A command that could be kept for later is refused at once."""
    refuse(genuine.command(exp=NOW + lifetime), "lifetime")


@pytest.mark.parametrize("elapsed", [-5, 0, 29])
def test_a_command_is_obeyed_in_its_time(elapsed: int) -> None:
    """From 5 s before its time, as clocks differ, to the second before it expires."""
    assert accept(genuine.command(), now=NOW + elapsed)


@pytest.mark.parametrize("elapsed", [-(10**9), -6, 30, 31, 10**9])
def test_a_command_outside_its_time_is_refused(elapsed: int) -> None:
    """At `exp` itself the command is over."""
    refuse(genuine.command(), "command time", now=NOW + elapsed)


@pytest.mark.parametrize("claim", sorted(command_claims().keys() - OPTIONAL))
@pytest.mark.parametrize("value", [jws.ABSENT, None, 1.5, True, []])
def test_a_claim_that_is_absent_or_of_another_type_is_refused(claim: str, value: object) -> None:
    """Every claim but the user's evidence is required, and of its type."""
    refuse(genuine.command(**{claim: value}), "claims")


@pytest.mark.parametrize("claim", sorted(OPTIONAL))
@pytest.mark.parametrize("value", [1, True, [], {}])
def test_evidence_of_another_type_is_refused(claim: str, value: object) -> None:
    """The user's evidence is text or absent."""
    refuse(genuine.command(**{claim: value}), "claims")


@pytest.mark.parametrize("jti", ["", "short", "x" * 15, "x" * 65])
def test_an_id_of_another_length_is_refused(jti: str) -> None:
    """An id has 16 to 64 characters: enough to be unique, and bounded."""
    refuse(genuine.command(jti=jti), "claims")


@pytest.mark.parametrize("kind", ["", "withdrawal", "Transfer", "transfer ", "reverse"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    """The kinds are a closed list."""
    refuse(genuine.command(kind=kind), "claims")


def test_an_unknown_claim_is_refused() -> None:
    """A sender that knows more than we do is not obeyed."""
    refuse(genuine.command(floor_minor=-1), "claims")


@pytest.mark.parametrize("body", ["e30=", "e3 0", "é", "e31"])
def test_an_order_in_another_spelling_is_refused(body: str) -> None:
    """The order has one spelling, so that its bytes are what was signed."""
    command = accept(genuine.command(body=body))
    with pytest.raises(EvidenceError, match="base64url"):
        _ = command.order


def test_an_oversized_command_is_refused() -> None:
    """A command has a limit of characters."""
    refuse(genuine.command(body="A" * commands.CHARS_MAX), "too long")


def test_the_largest_order_fits_into_a_command() -> None:
    """What the public edge takes, with the longest token, proof and approval, reaches the ledger.

    Otherwise a client's own padding would look like an outage, and be retried for ever.
    """
    claims = command_claims(
        body=jws.b64url(b" " * orders.BYTES_MAX),
        token="t" * access_token.CHARS_MAX,
        proof="p" * dpop.CHARS_MAX,
        approval="a" * approvals.CHARS_MAX,
    )
    compact = jws.sign({"typ": commands.TYP, "alg": "ES256", "kid": PUBLIC.thumbprint}, claims, KEY)
    assert len(compact) <= commands.CHARS_MAX
    envelope = Envelope(command="c" * commands.CHARS_MAX).model_dump_json()
    assert len(envelope) <= ENVELOPE_BYTES_MAX
