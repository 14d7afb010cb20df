"""What the senders of the sample events hold: keys, tokens, proofs, answers of authenticators.

`fixed` is the same each time: keys, ids and time are fixed, signatures are those of RFC 6979. The
time is long past, so all of it is genuine and expired. `live` is had from a running stack.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from pydantic import BaseModel

from portcullis import entropy
from portcullis.evidence import access_token, commands
from portcullis.evidence.access_token import AccessToken, Confirmation
from portcullis.evidence.commands import Command
from portcullis.identity.families import Handle, Keys, RefreshToken
from tests.support import iam, jws
from tests.support.authenticator import (
    ES256,
    Authenticator,
    Credential,
    Misbehaviour,
    attestation_object,
)
from tests.support.authenticator import HONEST as WELL_BEHAVED
from tests.support.client import JSON, Client
from tests.support.dpop import ProofKey
from tests.support.iam import Role
from tests.support.operator import Office, Operator
from tests.support.partner import Partner
from tests.support.stack import Stack
from tests.support.story import expect

AT = 1_767_225_600
"""2026-01-01T00:00:00Z: when the committed events were sent."""

STACK = "portcullis"
PUBLIC_ORIGIN = "http://localhost:8080"
INTERNAL_ORIGIN = "http://127.0.0.1:8081"

CURRENCY: Final = "EUR"
DEPOSIT = "100.00"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The stack that the events are for, and when they are sent."""

    stack: str
    public: str
    internal: str
    at: int


@dataclass(frozen=True, kw_only=True)
class SigningOperator:
    """An operator by name, with the public key, and what signs a command."""

    name: str
    key: Mapping[str, str]
    sign: Callable[[Command], str]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the senders hold.

    Attributes:
        account: Who orders.
        payee: Who is to be paid.
        token: The access token of who orders.
        refresh_token: That session's refresh token.
        session: The key that both are bound to.
        newcomer: The key of somebody who opens an account.
        registration: The newcomer's RegistrationResponseJSON.
        returning: The key of somebody who signs in.
        assertion: Their AuthenticationResponseJSON.
        partner: The partner's public key.
        operators: Two operators.
        prove: Makes a proof: by whose key, method, path, and `ProofKey.proof`'s further arguments.
        order: Signs a command of the money zone.
        deposit: Signs a command of the partner's.
    """

    account: str
    payee: str
    token: str
    refresh_token: str
    session: ProofKey
    newcomer: ProofKey
    registration: Mapping[str, Any]
    returning: ProofKey
    assertion: Mapping[str, Any]
    partner: Mapping[str, str]
    operators: Sequence[SigningOperator]
    prove: Callable[..., str]
    order: Callable[[Command], str]
    deposit: Callable[[Command], str]


def fixed() -> tuple[Origin, Evidence]:
    """Return the evidence behind the committed events, and where they were sent."""
    origin = Origin(stack=STACK, public=PUBLIC_ORIGIN, internal=INTERNAL_ORIGIN, at=AT)
    account = _fixed_bytes("account")[: entropy.ID_BYTES]
    handle = Handle(account + _fixed_bytes("handle")[: entropy.ID_BYTES])
    session = ProofKey(fixed_key("session"))
    passkey = Credential(
        rp_id=urlsplit(PUBLIC_ORIGIN).hostname or "",
        user_handle=account,
        private=fixed_key("passkey"),
        id=_fixed_bytes("credential"),
    )
    partner = fixed_key("partner")
    evidence = Evidence(
        account=handle.account,
        payee=entropy.id_from_bytes(_fixed_bytes("payee")[: entropy.ID_BYTES]),
        token=_fixed_token(handle, session),
        refresh_token=Keys(_fixed_bytes("pepper")).text(
            RefreshToken(handle, 1, _fixed_bytes("refresh"))
        ),
        session=session,
        newcomer=ProofKey(fixed_key("newcomer")),
        registration=_fixed_registration(passkey),
        returning=ProofKey(fixed_key("returning")),
        assertion=_fixed_assertion(passkey),
        partner=jws.public_jwk(partner),
        operators=[_fixed_operator(name) for name in ("alice", "bob")],
        prove=_fixed_proof,
        order=lambda command: _fixed_command(command, fixed_key("command")),
        deposit=lambda command: _fixed_command(command, partner),
    )
    return origin, evidence


def _fixed_bytes(name: str) -> bytes:
    return sha256(f"portcullis/sample/{name}".encode()).digest()


def fixed_key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return a key that anybody can make: nothing may ever trust it."""
    return ec.derive_private_key(int.from_bytes(_fixed_bytes(name)), ec.SECP256R1())


def _fixed_operator(name: str) -> SigningOperator:
    key = fixed_key(f"operator {name}")
    return SigningOperator(
        name=name, key=jws.public_jwk(key), sign=lambda command: _fixed_command(command, key)
    )


def _fixed_signature(data: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the signature of RFC 6979: the same for the same data."""
    return key.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))


def _fixed_jws(compact: str, key: ec.EllipticCurvePrivateKey) -> str:
    """Return a JWS with its signature made anew, the same each time."""
    signing_input = compact.rpartition(".")[0]
    r, s = decode_dss_signature(_fixed_signature(signing_input.encode(), key))
    raw = r.to_bytes(jws.COORDINATE_BYTES) + s.to_bytes(jws.COORDINATE_BYTES)
    return f"{signing_input}.{jws.b64url(raw)}"


def _fixed_proof(key: ProofKey, method: str, path: str, **signed: Any) -> str:
    jti = sha256(f"{method} {path} {sorted(signed)}".encode()).hexdigest()[:32]
    proof = key.proof(method, PUBLIC_ORIGIN + path, now=AT, jti=jti, **signed)
    return _fixed_jws(proof, key.private)


def _fixed_token(handle: Handle, session: ProofKey) -> str:
    key = fixed_key("access-token")
    claims = AccessToken(
        iss=PUBLIC_ORIGIN,
        aud=PUBLIC_ORIGIN,
        sub=handle.account,
        client_id=access_token.CLIENT_ID,
        iat=AT,
        exp=AT + access_token.LIFETIME_S,
        jti=entropy.id_from_bytes(_fixed_bytes("token")[: entropy.ID_BYTES]),
        cnf=Confirmation(jkt=session.jkt),
        sid=handle.sid,
        epoch=1,
        gen=1,
        acr="phr",
        amr=["pop", "user", "mfa"],
        auth_time=AT,
    )
    return _fixed_jws(_signed(claims, access_token.TYP, key), key)


def _fixed_command(command: Command, key: ec.EllipticCurvePrivateKey) -> str:
    return _fixed_jws(_signed(command, commands.TYP, key), key)


def _signed(claims: BaseModel, typ: str, key: ec.EllipticCurvePrivateKey) -> str:
    kid = jws.thumbprint(jws.public_jwk(key))
    return jws.sign({"typ": typ, "alg": "ES256", "kid": kid}, _claims(claims), key)


def _fixed_assertion(passkey: Credential) -> dict[str, Any]:
    """Return an authenticator's answer to a fixed challenge, its signature the same each time."""
    answer = _answered(passkey, "webauthn.get")
    response = answer["response"]
    client_data = jws.b64url_decode(response["clientDataJSON"])
    signed = jws.b64url_decode(response["authenticatorData"]) + sha256(client_data).digest()
    signature = jws.b64url(_fixed_signature(signed, passkey.private))
    return {**answer, "response": {**response, "signature": signature}}


def _fixed_registration(passkey: Credential) -> dict[str, Any]:
    """Return what making this very passkey answers; `Authenticator.create` makes a random one."""
    answer = _answered(passkey, "webauthn.create")
    data = Authenticator().authenticator_data(passkey, WELL_BEHAVED, attested=True)
    public_key = passkey.private.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    response = {
        "clientDataJSON": answer["response"]["clientDataJSON"],
        "attestationObject": jws.b64url(attestation_object(data)),
        "authenticatorData": jws.b64url(data),
        "transports": ["internal"],
        "publicKeyAlgorithm": ES256,
        "publicKey": jws.b64url(public_key),
    }
    return {**answer, "response": response}


def _answered(passkey: Credential, ceremony: str) -> dict[str, Any]:
    options = {"rpId": passkey.rp_id, "challenge": jws.b64url(_fixed_bytes(ceremony))}
    authenticator = Authenticator(counts=False, credentials=[passkey])
    return authenticator.get(options, PUBLIC_ORIGIN, misbehaviour=Misbehaviour(ceremony=ceremony))


def live(stack: Stack) -> tuple[Origin, Evidence]:
    """Return evidence on which the functions of a running stack act, for less than a minute.

    To have it this opens two accounts, signs in, opens their wallets and pays in.

    Raises:
        BrokenPromiseError: the stack refuses a step.
    """
    alice, bob, partner = Client(stack.public_origin), Client(stack.public_origin), Partner(stack)
    for person in (alice, bob):
        expect(person.open_account(), 201)
        expect(person.sign_in(), 200)
        expect(person.open_wallet(CURRENCY), 201)
    expect(partner.deposit(alice.account, DEPOSIT, CURRENCY, uuid.uuid4().hex), 201)
    newcomer = Client(stack.public_origin)
    registration = newcomer.authenticator.create(
        _options(newcomer, "/accounts/options"), stack.public_origin
    )
    returning = Client(stack.public_origin)
    assertion = alice.authenticator.get(
        _options(returning, "/sessions/options"), stack.public_origin
    )
    command_key, office = _CommandKey(stack), Office(stack)
    origin = Origin(
        stack=stack.name,
        public=stack.public_origin,
        internal=stack.internal_origin,
        at=int(time.time()),
    )
    evidence = Evidence(
        account=alice.account or "",
        payee=bob.account or "",
        token=alice.access_token or "",
        refresh_token=alice.refresh_token or "",
        session=alice.proof_key,
        newcomer=newcomer.proof_key,
        registration=registration,
        returning=returning.proof_key,
        assertion=assertion,
        partner=jws.public_jwk(partner.key),
        operators=[_signing(office.registered()) for _ in range(2)],
        prove=lambda key, method, path, **signed: key.proof(
            method, stack.public_origin + path, nonce=alice.nonce, **signed
        ),
        order=command_key.sign,
        deposit=lambda command: _signed(command, commands.TYP, partner.key),
    )
    return origin, evidence


def _signing(operator: Operator) -> SigningOperator:
    return SigningOperator(
        name=operator.name,
        key=jws.public_jwk(operator.key),
        sign=lambda command: _signed(command, commands.TYP, operator.key),
    )


def _options(person: Client, path: str) -> Mapping[str, Any]:
    reply = person.call("POST", path, body=b"{}", content_type=JSON, token=None)
    options: Mapping[str, Any] = expect(reply, 200).json["publicKey"]
    return options


class _CommandKey:
    """The money zone's key, used as the role that may use it."""

    def __init__(self, stack: Stack) -> None:
        self._role = Role(stack, f"{stack.name}-money-order-transfer")
        alias = f"alias/{stack.name}/command"
        described = iam.aws(stack.endpoint, iam.ROOT, "kms", "describe_key", KeyId=alias)
        self._arn = described["KeyMetadata"]["Arn"]

    def sign(self, command: Command) -> str:
        der = self._role.aws("kms", "get_public_key", KeyId=self._arn)["PublicKey"]
        public = load_der_public_key(der)
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise TypeError("the command key is not an elliptic-curve key")
        header = {
            "typ": commands.TYP,
            "alg": "ES256",
            "kid": jws.thumbprint(jws.public_jwk(public)),
        }
        signing_input = ".".join(
            jws.b64url(jws.compact_json(part)) for part in (header, _claims(command))
        )
        signature = self._role.aws(
            *("kms", "sign"),
            KeyId=self._arn,
            Message=sha256(signing_input.encode()).digest(),
            MessageType="DIGEST",
            SigningAlgorithm="ECDSA_SHA_256",
        )["Signature"]
        r, s = decode_dss_signature(signature)
        raw = r.to_bytes(jws.COORDINATE_BYTES) + s.to_bytes(jws.COORDINATE_BYTES)
        return f"{signing_input}.{jws.b64url(raw)}"


def _claims(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_none=True)
