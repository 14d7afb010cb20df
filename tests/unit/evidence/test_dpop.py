"""DPoP proofs: every check of RFC 9449 section 4.3, and the order that a proof may sign."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portcullis.evidence import dpop
from portcullis.evidence.dpop import Proof
from portcullis.evidence.errors import EvidenceError
from tests.support import jws
from tests.support.dpop import Forgery, ProofKey, digest
from tests.unit.evidence.genuine import NOW, ORIGIN, STRANGER, USER

RFC9449: dict[str, Any] = json.loads(Path("tests/vectors/rfc9449.json").read_text())
METHOD, PATH = "POST", "/transfers"
URL = ORIGIN + PATH
TOKEN = "a-token"


def accept(compact: str, *, token: str | None = None, url: str = URL, now: int = NOW) -> Proof:
    """Return the proof of a request to the one route of this file."""
    return dpop.verify(
        compact, expected_method=METHOD, expected_url=url, access_token=token, now_s=now
    )


def refuse(
    compact: str, why: str | None = None, *, token: str | None = None, now: int = NOW
) -> None:
    """Demand that a proof is refused for one reason alone, if one is named."""
    with pytest.raises(EvidenceError, match=why):
        accept(compact, token=token, now=now)


def prove(*, forgery: Forgery | None = None, **claims: Any) -> str:
    """Return a proof for the route, its claims replaced or dropped."""
    return USER.proof(METHOD, URL, now=NOW, forgery=forgery or Forgery(), **claims)


# ---- what is accepted ---------------------------------------------------------------------------


@pytest.mark.parametrize("vector", RFC9449["proofs"], ids=lambda vector: str(vector["figure"]))
def test_the_proofs_of_the_rfc(vector: dict[str, Any]) -> None:
    """Each proof that RFC 9449 prints verifies at its own time, with the thumbprint of its key."""
    proof = dpop.verify(
        vector["proof"],
        expected_method=vector["method"],
        expected_url=vector["url"],
        access_token=vector["access_token"],
        now_s=vector["now"],
    )
    assert (proof.jkt, proof.jti) == (RFC9449["jkt"], vector["jti"])


def test_a_proof_tells_what_it_says() -> None:
    """A verified proof has its key's thumbprint, its id, its time, and nothing it does not say."""
    proof = accept(prove(jti="one"))
    assert proof == Proof(
        jkt=USER.jkt,
        jti="one",
        issued_at_s=NOW,
        nonce=None,
        body_digest=None,
        idempotency_key=None,
    )


def test_further_claims_and_header_members_are_ignored() -> None:
    """RFC 9449 section 4.2 permits more claims and members; they decide nothing."""
    forgery = Forgery(header={"kid": "other", "jku": "https://evil.example/", "cty": "x"})
    assert accept(prove(forgery=forgery, sub="someone", exp=1)).jkt == USER.jkt


# ---- 4.3, check 2: one well-formed JWT ----------------------------------------------------------


SPOILT: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "blank": lambda _: " ",
    "followed by a space": lambda proof: proof + " ",
    "after a space": lambda proof: " " + proof,
    "followed by a dot": lambda proof: proof + ".",
    "followed by a part": lambda proof: proof + ".e30",
    "padded": lambda proof: proof + "=",
    "followed by a line feed": lambda proof: proof + "\n",
    "joined by a comma": lambda proof: f"{proof},{proof}",
    "joined by comma and space": lambda proof: f"{proof}, {proof}",
    "joined by a space": lambda proof: f"{proof} {proof}",
    "without signature": lambda proof: proof.rpartition(".")[0],
    "with an empty part": lambda proof: proof.replace(".", "..", 1),
    "cut short": lambda proof: proof[:-1],
    "not ASCII": lambda proof: "é" + proof[1:],
    "in JSON": lambda proof: json.dumps({"payload": proof}),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_is_not_one_well_formed_jwt_is_refused(spoil: Callable[[str], str]) -> None:
    """Truncated, joined, padded or followed by anything: refused."""
    refuse(spoil(prove()))


# ---- 4.3, check 3: required claims --------------------------------------------------------------


@pytest.mark.parametrize("claim", ["jti", "htm", "htu", "iat"])
@pytest.mark.parametrize("value", [jws.ABSENT, None, [], {}, True, 1.5])
def test_a_claim_that_is_absent_or_of_another_type_is_refused(claim: str, value: object) -> None:
    """`jti`, `htm`, `htu` and `iat` are required, and of their types without coercion."""
    refuse(_claiming(claim, value), "claims")


def _claiming(claim: str, value: object) -> str:
    claims: Any = {claim: value}
    return _with_jti(value) if claim == "jti" else prove(**claims)


def _with_jti(value: object) -> str:
    proof = jws.claims_of(prove())
    header = jws.header_of(prove())
    return jws.sign(header, proof | {"jti": value}, USER.private)


@pytest.mark.parametrize("claim", ["jti", "htm", "htu"])
def test_a_number_is_no_text(claim: str) -> None:
    """A number where a text belongs is refused, not converted."""
    refuse(_claiming(claim, 1), "claims")


def test_a_text_is_no_time() -> None:
    """A time in quotes is refused, not converted."""
    refuse(prove(iat=str(NOW)), "claims")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b'{"jti":"a","jti":"b","htm":"POST","htu":"%s","iat":%d}' % (URL.encode(), NOW),
        b'{"jti":"a","htm":"GET","\\u0068tm":"POST","htu":"%s","iat":%d}' % (URL.encode(), NOW),
        b'{"jti":"a","htm":"POST","htu":"%s","iat":NaN}' % URL.encode(),
        b'{"jti":"\\ud800","htm":"POST","htu":"%s","iat":%d}' % (URL.encode(), NOW),
        b'{"jti":"a","htm":"POST","htu":"%s","iat":%d,"x":' % (URL.encode(), NOW)
        + b"[" * 600
        + b"]" * 600
        + b"}",
        b'\xef\xbb\xbf{"jti":"a","htm":"POST","htu":"%s","iat":%d}' % (URL.encode(), NOW),
    ],
)
def test_claims_that_two_parsers_may_read_differently_are_refused(payload: bytes) -> None:
    """Duplicate names and everything else that is not I-JSON are refused, though well signed."""
    signing_input = f"{prove().split('.', maxsplit=1)[0]}.{jws.b64url(payload)}"
    signature = jws.b64url(jws.signature(signing_input.encode(), USER.private))
    refuse(f"{signing_input}.{signature}", "claims")


# ---- 4.3, checks 4 and 5: type and algorithm ----------------------------------------------------


@pytest.mark.parametrize(
    "typ", [jws.ABSENT, None, "JWT", "at+jwt", "DPOP+JWT+x", "dpop", "dpop+jwt;x=y", ["dpop+jwt"]]
)
def test_another_type_is_refused(typ: object) -> None:
    """RFC 9449 sections 4.3-4 and 11.5: only `dpop+jwt` is a proof."""
    refuse(prove(forgery=Forgery(header={"typ": typ})), "another type")


@pytest.mark.parametrize("alg", [jws.ABSENT, "none", "HS256", "RS256", "PS256", "ES384", "EdDSA"])
@pytest.mark.parametrize("unsigned", [False, True])
def test_another_algorithm_is_refused(alg: object, *, unsigned: bool) -> None:
    """RFC 9449 sections 4.3-5 and 11.6: ES256 is the one algorithm, and none is none."""
    refuse(prove(forgery=Forgery(header={"alg": alg}, unsigned=unsigned)), "algorithm")


def test_a_symmetric_signature_with_the_public_key_is_refused() -> None:
    """The classic confusion, HS256 keyed by the public key, meets no HS256."""
    header = {"typ": "dpop+jwt", "alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}}
    refuse(prove(forgery=Forgery(header=header)), "algorithm")


# ---- 4.3, checks 6 and 7: the key ---------------------------------------------------------------


def test_a_signature_by_another_key_is_refused() -> None:
    """Whoever shows another's public key cannot sign for it."""
    refuse(prove(forgery=Forgery(signed_by=STRANGER)), "JWS signature$")


def test_a_key_exchanged_after_signing_is_refused() -> None:
    """The signature covers the key in the header."""
    header, rest = prove().split(".", 1)
    other = jws.header_of(prove()) | {"jwk": jws.public_jwk(STRANGER)}
    refuse(f"{jws.b64url(jws.compact_json(other))}.{rest}", "JWS signature$")
    assert header


@pytest.mark.parametrize("claim", ["jti", "htm", "htu", "bd", "idk", "ath"])
def test_a_claim_changed_after_signing_is_refused(claim: str) -> None:
    """The signature covers every claim."""
    refuse(prove(forgery=Forgery(after_signing={claim: "changed"})), "JWS signature$")


def test_an_unsigned_proof_is_refused() -> None:
    """No signature is no proof."""
    refuse(prove(forgery=Forgery(unsigned=True)), "signature length")


def test_a_private_key_in_the_header_is_refused() -> None:
    """RFC 9449 section 4.2: a proof that gives its key away proves nothing."""
    refuse(prove(forgery=Forgery(private_jwk=True)), "private")


@pytest.mark.parametrize(
    "jwk",
    [
        jws.ABSENT,
        None,
        {},
        [],
        "key",
        {"kty": "oct", "k": "AA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        jws.public_jwk(USER.private) | {"crv": "P-384"},
        jws.public_jwk(USER.private) | {"x": "AA"},
        {"kid": "named-elsewhere"},
    ],
)
def test_a_header_without_a_usable_key_is_refused(jwk: object) -> None:
    """The key stands in the header itself; nothing else names it."""
    refuse(prove(forgery=Forgery(header={"jwk": jwk, "kid": USER.jkt})), "JWK")


# ---- 4.3, check 8: the method -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "post", "Post", "POST ", "", "PUT", "POST,GET"])
def test_another_method_is_refused(method: str) -> None:
    """Methods are compared exactly: they are case-sensitive (RFC 9110 section 9.1)."""
    refuse(prove(htm=method), "proof method")


# ---- 4.3, check 9: the URL ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        URL + "?a=b",
        URL + "#part",
        URL + "?a=b#part",
        "https://api.example.test:443/transfers",
        "https://api.example.test:/transfers",
        "HTTPS://API.EXAMPLE.TEST/transfers",
    ],
)
def test_another_spelling_of_the_same_url_is_accepted(url: str) -> None:
    """Query and fragment do not count, and RFC 3986 section 6.2.2-3 says what is the same."""
    assert accept(prove(htu=url))


def test_an_empty_path_is_the_root() -> None:
    """RFC 3986 section 6.2.3: an empty path is "/"."""
    assert accept(prove(htu=ORIGIN), url=ORIGIN + "/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/transfers",
        "//api.example.test/transfers",
        ORIGIN,
        ORIGIN + "/",
        URL + "/",
        ORIGIN + "//transfers",
        ORIGIN + "/Transfers",
        ORIGIN + "/wallets",
        ORIGIN + "/wallets/../transfers",
        ORIGIN + "/./transfers",
        ORIGIN + "/v1/transfers",
        ORIGIN + "/transfers;x",
        ORIGIN + "\\transfers",
        "http://api.example.test/transfers",
        "http://api.example.test:443/transfers",
        "https://api.example.test:80/transfers",
        "https://api.example.test:8443/transfers",
        "https://api.example.test:65536/transfers",
        "https://api.example.test:x/transfers",
        "https://internal.example.test/transfers",
        "https://api.example.test.evil.example/transfers",
        "https://evil.example/https://api.example.test/transfers",
        "https://api.example.test./transfers",
        "https://[api.example.test]/transfers",
        "https://[::1/transfers",
        "ftp://api.example.test/transfers",
        "urn:portcullis:transfers",
    ],
)
def test_another_url_is_refused(url: str) -> None:
    """Another scheme, host, port or path is another request."""
    refuse(prove(htu=url), "proof URL")


@pytest.mark.parametrize(
    "url",
    [
        ORIGIN + "/transfer%73",
        ORIGIN + "/%74ransfers",
        ORIGIN + "/transfers%2f",
        ORIGIN + "/transfers?a=%20",
        "https://api%2eexample.test/transfers",
    ],
)
def test_an_escape_in_the_url_is_refused(url: str) -> None:
    """None of our routes needs an escape, so an escaped spelling is a second name of one."""
    refuse(prove(htu=url), "proof URL has an escape")


@pytest.mark.parametrize(
    "url",
    [
        " " + URL,
        "\x00" + URL,
        URL + "\n",
        ORIGIN + "/trans\tfers",
        "https://api.exa\nmple.test/transfers",
        "ht\rtps://api.example.test/transfers",
    ],
)
def test_white_space_and_controls_in_the_url_are_refused(url: str) -> None:
    """RFC 3986 knows no white space or control in a URL: such a text names no request."""
    refuse(prove(htu=url), "proof URL")


@pytest.mark.parametrize(
    "url",
    [
        "https://user@api.example.test/transfers",
        "https://user:password@api.example.test/transfers",
        "https://@api.example.test/transfers",
        "https://api.example.test@evil.example/transfers",
    ],
)
def test_a_user_in_the_url_is_refused(url: str) -> None:
    """A URL that seems to name our host as its user, or a user at our host, is none of ours."""
    refuse(prove(htu=url), "names a user")


def test_port_zero_is_not_the_default_port() -> None:
    """RFC 3986 section 6.2.3 leaves out an empty or default port, and no other."""
    refuse(prove(htu="https://api.example.test:0/transfers"), "proof URL")


def test_a_request_whose_path_has_an_escape_is_refused() -> None:
    """A path that came with an escape has no proof, even one that names it."""
    with pytest.raises(EvidenceError, match="escape"):
        accept(prove(htu=ORIGIN + "/transfer%73"), url=ORIGIN + "/transfer%73")


# ---- 4.3, check 10: nonces ----------------------------------------------------------------------


@pytest.mark.parametrize("nonce", ["eyJ7S_zG.eyJH0-Z.HX4w-7v", "", "é", "n" * 2000])
def test_a_proof_tells_its_nonce(nonce: str) -> None:
    """Whose the nonce is, and from when, is for whoever gives them out (tests/unit/test_nonces)."""
    assert accept(prove(nonce=nonce)).nonce == nonce


@pytest.mark.parametrize("nonce", [1, 1.5, True, [], {}, ["eyJ7S_zG"]])
def test_a_nonce_of_another_type_is_refused(nonce: object) -> None:
    """`nonce` is a text."""
    refuse(prove(nonce=nonce), "claims")


# ---- 4.3, check 11: time ------------------------------------------------------------------------


@pytest.mark.parametrize("age", [-10, -9, 0, 59, 60])
def test_a_proof_inside_its_window_is_accepted(age: int) -> None:
    """A proof counts from 10 s before to 60 s after its time, both ends included."""
    assert accept(prove(iat=NOW - age)).issued_at_s == NOW - age


@pytest.mark.parametrize("age", [-(10**18), -86_400, -60, -11, 61, 3600, NOW, NOW + 1, 10**18])
def test_a_proof_outside_its_window_is_refused(age: int) -> None:
    """RFC 9449 section 11.1: too old, or too far in the future."""
    refuse(prove(iat=NOW - age), "proof time")


def test_a_used_proof_is_remembered_for_its_whole_window() -> None:
    """A proof made as far ahead as is allowed is still remembered when it expires."""
    assert dpop.REMEMBERED_S > dpop.AGE_S_MAX + dpop.AHEAD_S_MAX


# ---- 4.3, check 12: the access token ------------------------------------------------------------


def test_a_proof_for_its_token_is_accepted() -> None:
    """`ath` is the hash of the token that the request presents."""
    assert accept(prove(access_token=TOKEN), token=TOKEN)


@pytest.mark.parametrize(
    "ath",
    [
        jws.ABSENT,
        None,
        "",
        TOKEN,
        digest(b"another token"),
        digest(TOKEN.encode()) + "=",
        digest(TOKEN.encode()).lower(),
        digest(TOKEN.encode())[:-1],
        "é",
    ],
)
def test_a_proof_for_another_token_or_none_is_refused(ath: object) -> None:
    """RFC 9449 section 7: with a token, `ath` must be there and be that token's."""
    refuse(prove(ath=ath), "another token", token=TOKEN)


@pytest.mark.parametrize("ath", [1, [], True])
def test_a_token_hash_of_another_type_is_refused(ath: object) -> None:
    """`ath` is a text."""
    refuse(prove(ath=ath), "claims", token=TOKEN)


# ---- 11.1: single use, and ids of bounded length ------------------------------------------------


@pytest.mark.parametrize("length", [1, 128])
def test_an_id_of_allowed_length_is_accepted(length: int) -> None:
    """An id has 1 to 128 characters."""
    assert accept(prove(jti="j" * length))


@pytest.mark.parametrize("length", [0, 129, 2500])
def test_an_empty_or_oversized_id_is_refused(length: int) -> None:
    """Ids are remembered, so their length is bounded; an empty one identifies nothing."""
    refuse(_with_jti("j" * length), "claims")


def test_an_oversized_proof_is_refused() -> None:
    """A proof has at most 4,096 characters."""
    refuse(prove(pad="x" * 4096), "too long")


def test_the_same_proof_has_the_same_single_use_id() -> None:
    """The id is made of key and `jti`: a replay, even re-signed for another route, meets it."""
    first = accept(prove(jti="one"))
    again = dpop.verify(
        USER.proof("GET", ORIGIN + "/wallets", now=NOW + 5, jti="one"),
        expected_method="GET",
        expected_url=ORIGIN + "/wallets",
        access_token=None,
        now_s=NOW,
    )
    assert first.single_use_id == again.single_use_id


def test_nobody_can_burn_anothers_proof() -> None:
    """The same `jti` under another key is another proof."""
    mine, theirs = accept(prove(jti="one")), accept(ProofKey().proof(METHOD, URL, now=NOW))
    theirs_too = accept(ProofKey().proof(METHOD, URL, now=NOW, jti="one"))
    assert len({mine.single_use_id, theirs.single_use_id, theirs_too.single_use_id}) == 3


def test_the_single_use_id_is_not_made_of_ambiguous_text() -> None:
    """A dot in a `jti` makes no two proofs one: a thumbprint has a fixed length and no dot."""
    ids = {accept(prove(jti=jti)).single_use_id for jti in ("a", ".a", "a.", "a.b", ".")}
    assert len(ids) == 5


# ---- the signed order ---------------------------------------------------------------------------

BODY, ORDER_KEY = b'{"a":1}', "order-1"


def ordered(**claims: Any) -> Proof:
    """Return the verified proof of one order, its claims replaced or dropped."""
    return accept(USER.proof(METHOD, URL, now=NOW, body=BODY, idempotency_key=ORDER_KEY, **claims))


def test_an_order_is_signed_byte_for_byte() -> None:
    """A proof signs exactly its body and its idempotency key."""
    assert dpop.verify_order(ordered(), body=BODY, idempotency_key=ORDER_KEY)


@pytest.mark.parametrize(
    "body", [b"", b'{"a":2}', b'{"a": 1}', b'{"a":1}\n', b'\xef\xbb\xbf{"a":1}']
)
def test_another_body_is_refused(body: bytes) -> None:
    """One byte more, less or other is another order, though the JSON mean the same."""
    with pytest.raises(EvidenceError, match="another body"):
        dpop.verify_order(ordered(), body=body, idempotency_key=ORDER_KEY)


@pytest.mark.parametrize(
    "bd", [jws.ABSENT, None, "", digest(BODY) + "=", digest(BODY).lower(), digest(b""), "é"]
)
def test_another_digest_of_the_body_is_refused(bd: object) -> None:
    """`bd` must be there and be the body's digest in its one spelling."""
    with pytest.raises(EvidenceError, match="another body"):
        dpop.verify_order(ordered(bd=bd), body=BODY, idempotency_key=ORDER_KEY)


@pytest.mark.parametrize("idk", [jws.ABSENT, None, "", "order-2", "ORDER-1", "order-1 ", "order"])
def test_another_idempotency_key_is_refused(idk: object) -> None:
    """`idk` must be there and be the key of the request."""
    with pytest.raises(EvidenceError, match="another idempotency key"):
        dpop.verify_order(ordered(idk=idk), body=BODY, idempotency_key=ORDER_KEY)


def test_a_proof_that_signs_no_order_signs_not_even_an_empty_one() -> None:
    """Without `bd` a proof does not sign the empty body."""
    with pytest.raises(EvidenceError, match="another body"):
        dpop.verify_order(accept(prove()), body=b"", idempotency_key="")
