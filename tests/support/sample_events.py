"""One event of each function, as API Gateway would send it.

    python -m tests.support.sample_events [--live [--stack NAME]]

The committed ones, under `events/`, are for `sam local invoke` and for the tests of what is built.
They come out the same each time, and their proofs, tokens and commands are genuine and expired: no
function acts on them. With `--live` they are made anew for a running stack, to be used at once: a
proof lives a minute, a command half of that. They hold tokens, so they go beside the stack's state.
"""

import argparse
import base64
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel

from portcullis import clock, entropy
from portcullis.amounts import Amount
from portcullis.evidence import access_token, commands
from portcullis.evidence import operators as operator_commands
from portcullis.evidence.commands import Command, Envelope, Pair
from portcullis.evidence.orders import (
    Deposit,
    LiftLockdown,
    LiftQuarantine,
    LockDown,
    OpenWallet,
    OrderKind,
    ReleaseAccount,
    Transfer,
)
from portcullis.evidence.partners import ISSUER_PREFIX
from portcullis.identity import (
    certifier,
    credentials,
    judge,
    passkeys,
    recovery_codes,
    tables,
    tickets,
)
from portcullis.identity.oauth import RevocationRequest, TokenRequest
from portcullis.identity.observations import Baseline, Observation, Place
from portcullis.identity.restraint import Judged, Restraint
from portcullis.money.commands import ISSUER as MONEY
from portcullis.operations.registry import OperatorRegistration, Registration
from tests.support import http, jws
from tests.support.client import FORM, JSON
from tests.support.demo import NOT_RUNNING
from tests.support.dpop import ProofKey
from tests.support.events import Event, Pairs, Sent
from tests.support.sample_evidence import (
    CURRENCY,
    DEPOSIT,
    STACK,
    Evidence,
    Origin,
    fixed,
    live,
)
from tests.support.stack import ACCOUNT, LOCAL, REGION, Stack, StackNotRunningError

EVENTS = Path(__file__).parents[2] / "events"
"""Where the committed ones are."""

ANOTHER_CURRENCY: Final = "CHF"
TRANSFER = "12.34"
PARTNER = "sandbox"
FLOOR = "1000000.00"
LOGIN = "alice@example.org"
PASSWORD = "seven lanterns over the ferry"
CODE = "492039"
"""Nobody's: a function that is sent it does all its work, and refuses."""

FORM_BODY = (("Content-Type", FORM),)
JSON_BODY = (("Content-Type", JSON),)
USER_AGENT = "portcullis-sample/1"


def events(origin: Origin, held: Evidence) -> dict[str, Event]:
    """Return the event of every function, by `<zone>/<endpoint>`."""
    return {
        **_sign_in(origin, held),
        **_factors(origin, held),
        **_recovery(origin, held),
        **_lockdown(origin, held),
        **_money(origin, held),
        **_ledger(origin, held),
        **_operations(origin, held),
    }


def _operations(origin: Origin, held: Evidence) -> dict[str, Event]:
    first, *_ = held.operators
    return {
        "operations/register_partner": _members(
            Registration(
                partner=PARTNER,
                role=f"{origin.stack}-partner-{PARTNER}",
                key=dict(held.partner),
                floor={CURRENCY: FLOOR},
            )
        ),
        "operations/register_operator": _members(
            OperatorRegistration(operator=first.name, key=dict(first.key))
        ),
        "operations/publish": {"Records": [_stream_record(origin, held)]},
        "operations/reconcile": _scheduled(origin),
    }


def _scheduled(origin: Origin) -> Event:
    """Return what a rule's schedule sends (EventBridge user guide, "Scheduled events")."""
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": clock.rfc3339(origin.at),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:000000000000:rule/portcullis-reconcile"],
        "detail": {},
    }


def _stream_record(origin: Origin, held: Evidence) -> Event:
    """Return the record of a note's insertion (developer guide, "DynamoDB event source")."""
    keys = {name: {"S": value} for name, value in tables.pending_key(held.account, 1).items()}
    return {
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": {
            "ApproximateCreationDateTime": origin.at,
            "Keys": keys,
            "SequenceNumber": "111",
            "SizeBytes": sum(len(name) + len(value["S"]) for name, value in keys.items()),
            "StreamViewType": "KEYS_ONLY",
        },
        "eventSourceARN": (
            f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{origin.stack}-identity"
            "/stream/2026-01-01T00:00:00.000"
        ),
    }


def _restraint(origin: Origin, held: Evidence) -> Restraint:
    """Return the verdict on somebody in Bucharest, four minutes after London."""
    london, bucharest = (
        Observation(
            at_s=origin.at - ago_s,
            label=place.country,
            place=place,
            network=_digest(place.country).hex()[:32],
            device="Gecko on Linux",
        )
        for ago_s, place in (
            (240, Place(country="GB", latitude_tenths=515, longitude_tenths=-1, radius_km=10)),
            (0, Place(country="RO", latitude_tenths=444, longitude_tenths=261, radius_km=10)),
        )
    )
    baseline = Baseline.of(london)
    return Restraint(
        account=held.account,
        sid=str(jws.claims_of(held.token)["sid"]),
        occasion="request",
        epoch=1,
        judged=Judged(
            baseline=baseline,
            observation=bucharest,
            verdict=judge.judge(judge.POLICY, baseline, bucharest),
        ),
    )


def _sign_in(origin: Origin, held: Evidence) -> dict[str, Event]:
    def ceremony(path: str, key: ProofKey, **members: object) -> Event:
        return _ceremony(origin, held, path, key, members)

    refresh = TokenRequest(
        grant_type="refresh_token",
        refresh_token=held.refresh_token,
        client_id=access_token.CLIENT_ID,
    )
    revocation = RevocationRequest(token=held.refresh_token, client_id=access_token.CLIENT_ID)
    registration = passkeys.Registration.model_validate(held.registration)
    assertion = passkeys.Assertion.model_validate(held.assertion)
    proof = held.prove(held.session, "POST", "/oauth/token")
    gated = Sent(
        method="GET",
        path="/wallets",
        headers=_transport(origin.public, *_shown(held, "GET", "/wallets")),
    )
    return {
        "identity/account_options": ceremony("/accounts/options", held.newcomer),
        "identity/open_account": ceremony(
            "/accounts", held.newcomer, credential=_members(registration)
        ),
        "identity/certify_enrolment": _members(
            certifier.Evidence(
                kind="open",
                credential=registration,
                proof=held.prove(held.newcomer, "POST", certifier.ROUTES["open"]),
            )
        ),
        "identity/restrain": _members(_restraint(origin, held)),
        "identity/session_options": ceremony("/sessions/options", held.returning),
        "identity/sign_in": ceremony("/sessions", held.returning, credential=_members(assertion)),
        "identity/password_sign_in": ceremony(
            "/sessions/password", held.returning, login=LOGIN, password=PASSWORD
        ),
        "identity/second_factor": ceremony(
            "/sessions/second-factor",
            held.returning,
            ticket=tickets.PREFIX + jws.b64url(_digest("ticket")),
            code=CODE,
        ),
        "identity/list_sessions": _gated(origin, held, "GET", "/sessions"),
        "identity/end_session": _gated(
            origin, held, "DELETE", "/sessions/{id}", id_=str(jws.claims_of(held.token)["sid"])
        ),
        "identity/end_sessions": _gated(
            origin, held, "DELETE", "/sessions", query=(("except", "current"),)
        ),
        "identity/refresh": _event(
            origin,
            Sent(
                path="/oauth/token",
                headers=(*FORM_BODY, ("DPoP", proof)),
                body=urlencode(_members(refresh)),
            ),
        ),
        "identity/revoke": _event(
            origin,
            Sent(path="/oauth/revoke", headers=FORM_BODY, body=urlencode(_members(revocation))),
        ),
        "identity/jwks": _event(
            origin, Sent(method="GET", path="/.well-known/jwks.json", headers=())
        ),
        "identity/gate": _completed(gated.to_authorizer(), origin, url=origin.public),
    }


def _factors(origin: Origin, held: Evidence) -> dict[str, Event]:
    def gated(method: str, path: str, id_: str | None = None, **members: object) -> Event:
        return _gated(origin, held, method, path, id_=id_, body=members)

    def bare(method: str, path: str, id_: str | None = None) -> Event:
        return _gated(origin, held, method, path, id_=id_)

    registration = passkeys.Registration.model_validate(held.registration)
    assertion = passkeys.Assertion.model_validate(held.assertion)
    passkey = credentials.id_of(jws.b64url_decode(assertion.rawId))
    enrolment = entropy.id_from_bytes(_digest("enrolment")[: entropy.ID_BYTES])
    return {
        "identity/passkey_options": gated("POST", "/passkeys/options"),
        "identity/add_passkey": gated(
            "POST", "/passkeys", credential=_members(registration), label="Phone"
        ),
        "identity/list_passkeys": bare("GET", "/passkeys"),
        "identity/rename_passkey": gated("PATCH", "/passkeys/{id}", passkey, label="Old phone"),
        "identity/remove_passkey": bare("DELETE", "/passkeys/{id}", passkey),
        "identity/enrol_totp": gated("POST", "/totp"),
        "identity/confirm_totp": gated("POST", "/totp/confirm", enrolment=enrolment, code=CODE),
        "identity/remove_totp": bare("DELETE", "/totp"),
        "identity/put_password": gated("PUT", "/password", login=LOGIN, password=PASSWORD),
        "identity/mint_recovery_codes": gated("POST", "/recovery-codes"),
        "identity/approval_options": gated("POST", "/approvals/options", kind="set-password"),
        "identity/approve": gated("POST", "/approvals", credential=_members(assertion)),
    }


def _recovery(origin: Origin, held: Evidence) -> dict[str, Event]:
    registration = passkeys.Registration.model_validate(held.registration)
    raw = _digest("recovery code")[: recovery_codes.CODE_BYTES]
    code = base64.b32encode(raw).decode().rstrip("=")
    release = ReleaseAccount(account=held.account)
    return {
        "identity/recovery_options": _ceremony(
            origin, held, "/recovery/options", held.newcomer, {"code": code}
        ),
        "identity/recover": _ceremony(
            origin,
            held,
            "/recovery",
            held.newcomer,
            {"code": code, "credential": _members(registration)},
        ),
        "identity/cancel_recovery": _gated(origin, held, "DELETE", "/recovery"),
        "identity/release_account": _on_account(origin, held, "release-account", release),
    }


def _on_account(
    origin: Origin, held: Evidence, kind: OrderKind, order: ReleaseAccount | LiftQuarantine
) -> Event:
    """Return what two operators order about an account, at the route of the order's verb."""
    verb = kind.partition("-")[0]
    path = f"/accounts/{held.account}/{verb}"
    signed = _signed_by_operators(origin, held, path, kind, order.model_dump_json().encode())
    return _internal(
        origin,
        "operator",
        Sent(
            path=path,
            resource=f"/accounts/{{account}}/{verb}",
            path_parameters={"account": held.account},
            body=Pair(commands=signed).model_dump_json(),
        ),
    )


def _lockdown(origin: Origin, held: Evidence) -> dict[str, Event]:
    path, order = "/lockdown", LockDown(reason="drill").model_dump_json().encode()
    ended = LiftLockdown(since=clock.rfc3339(origin.at))
    one = _signed_by_operators(origin, held, path, "lock-down", order)[0]
    lifting = _signed_by_operators(
        origin, held, path + "/lift", "lift-lockdown", ended.model_dump_json().encode()
    )
    frozen, lifted = Envelope(command=one), Pair(commands=lifting)
    return {
        "identity/lift_quarantine": _on_account(
            origin, held, "lift-quarantine", LiftQuarantine(account=held.account)
        ),
        "identity/lock_down": _internal(
            origin, "operator", Sent(path=path, body=frozen.model_dump_json())
        ),
        "identity/lift_lockdown": _internal(
            origin, "operator", Sent(path=path + "/lift", body=lifted.model_dump_json())
        ),
    }


def _signed_by_operators(
    origin: Origin, held: Evidence, path: str, kind: OrderKind, order: bytes
) -> list[str]:
    return [
        one.sign(_command(origin, operator_commands.ISSUER_PREFIX + one.name, path, kind, order))
        for one in held.operators
    ]


def _ceremony(
    origin: Origin, held: Evidence, path: str, key: ProofKey, members: Mapping[str, object]
) -> Event:
    """Return the event of a route that wants a proof and no token."""
    headers = (*JSON_BODY, ("DPoP", held.prove(key, "POST", path)))
    return _event(origin, Sent(path=path, headers=headers, body=_body(members)))


def _gated(
    origin: Origin,
    held: Evidence,
    method: str,
    resource: str,
    *,
    id_: str | None = None,
    body: Mapping[str, object] | None = None,
    query: Pairs = (),
) -> Event:
    """Return the event of an owner's request that the gate let through."""
    path = resource.format(id=id_)
    typed = () if body is None else JSON_BODY
    sent = Sent(
        method=method,
        path=path,
        resource=resource,
        path_parameters=None if id_ is None else {"id": id_},
        headers=(*typed, *_shown(held, method, path)),
        query=query,
        body=None if body is None else _body(body),
    )
    return _event(origin, sent, account=held.account)


def _digest(name: str) -> bytes:
    return sha256(f"portcullis/sample/{name}".encode()).digest()


def _money(origin: Origin, held: Evidence) -> dict[str, Event]:
    def read(path: str, **route: Any) -> Event:
        sent = Sent(method="GET", path=path, headers=_shown(held, "GET", path), **route)
        return _event(origin, sent, account=held.account)

    def ordered(path: str, order: BaseModel) -> Event:
        body, key = order.model_dump_json(), f"sample{path.replace('/', '-')}"
        headers = (
            *JSON_BODY,
            *_shown(held, "POST", path, body=body.encode(), idempotency_key=key),
            ("Idempotency-Key", key),
        )
        return _event(origin, Sent(path=path, headers=headers, body=body), account=held.account)

    return {
        "money/list_wallets": read("/wallets"),
        "money/list_entries": read(
            f"/wallets/{CURRENCY}/entries",
            resource="/wallets/{currency}/entries",
            path_parameters={"currency": CURRENCY},
            query=(("limit", "20"),),
        ),
        "money/open_wallet": ordered("/wallets", OpenWallet(currency=ANOTHER_CURRENCY)),
        "money/order_transfer": ordered("/transfers", _transfer(held)),
    }


def _ledger(origin: Origin, held: Evidence) -> dict[str, Event]:
    def read(path: str, role: str, **route: Any) -> Event:
        proof = held.prove(held.session, "GET", path, access_token=held.token)
        headers = (("Portcullis-Token", held.token), ("Portcullis-Proof", proof))
        return _internal(origin, role, Sent(method="GET", path=path, headers=headers, **route))

    def posted(path: str, role: str, command: str) -> Event:
        body = Envelope(command=command).model_dump_json()
        return _internal(origin, role, Sent(path=path, body=body))

    order, key = _transfer(held).model_dump_json().encode(), "sample-postings"
    proof = held.prove(
        held.session,
        "POST",
        "/transfers",
        access_token=held.token,
        body=order,
        idempotency_key=key,
    )
    evidence = {"proof": proof, "token": held.token}
    deposit = Deposit(
        account=held.account, amount=Amount(amount=DEPOSIT, currency=CURRENCY), reference="sample"
    )
    return {
        "ledger/post": posted(
            "/postings",
            "money-order-transfer",
            held.order(_command(origin, MONEY, "/postings", "transfer", order, **evidence)),
        ),
        "ledger/deposit": posted(
            "/deposits",
            f"partner-{PARTNER}",
            held.deposit(
                _command(
                    origin,
                    ISSUER_PREFIX + PARTNER,
                    "/deposits",
                    "deposit",
                    deposit.model_dump_json().encode(),
                )
            ),
        ),
        "ledger/wallets": read("/wallets", "money-list-wallets"),
        "ledger/entries": read(
            f"/wallets/{CURRENCY}/entries",
            "money-list-entries",
            resource="/wallets/{currency}/entries",
            path_parameters={"currency": CURRENCY},
        ),
    }


def _transfer(held: Evidence) -> Transfer:
    return Transfer(to_account=held.payee, amount=Amount(amount=TRANSFER, currency=CURRENCY))


def _command(
    origin: Origin, issuer: str, path: str, kind: OrderKind, order: bytes, **evidence: str
) -> Command:
    jti = sha256(f"{origin.at} {path}".encode()).hexdigest()[:32]
    return Command(
        iss=issuer,
        aud=origin.internal,
        htm="POST",
        htu=origin.internal + path,
        iat=origin.at,
        exp=origin.at + commands.LIFETIME_S,
        jti=jti,
        kind=kind,
        body=jws.b64url(order),
        **evidence,
    )


def _shown(held: Evidence, method: str, path: str, **signed: Any) -> Pairs:
    """Return the headers that show a caller: token and proof."""
    proof = held.prove(held.session, method, path, access_token=held.token, **signed)
    return (("Authorization", f"DPoP {held.token}"), ("DPoP", proof))


def _event(origin: Origin, sent: Sent, *, account: str | None = None) -> Event:
    """Return the event of a public route, behind the gate if it let an account through."""
    event = _arrived(sent, origin.public).to_function()
    if account is not None:
        event["requestContext"]["authorizer"] = {"principalId": account, "integrationLatency": 21}
    return _completed(event, origin, url=origin.public)


def _internal(origin: Origin, role: str, sent: Sent) -> Event:
    """Return the event of an internal route, called by a role that IAM let through."""
    name = f"{origin.stack}-{role}"
    event = _completed(_arrived(sent, origin.internal).to_function(), origin, url=origin.internal)
    event["requestContext"]["identity"] |= {
        "accountId": ACCOUNT,
        "caller": f"AROAEXAMPLE:{name}",
        "user": f"AROAEXAMPLE:{name}",
        "userArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{name}",
    }
    return event


def _arrived(sent: Sent, url: str) -> Sent:
    """Return the request with the headers that every client and the gateway itself add."""
    return Sent(**{**vars(sent), "headers": _transport(url, *sent.headers)})


def _transport(url: str, *own: tuple[str, str]) -> Pairs:
    parts = urlsplit(url)
    return (
        ("Accept", "application/json"),
        *own,
        ("Host", parts.netloc),
        ("User-Agent", USER_AGENT),
        ("X-Amzn-Trace-Id", "Root=1-69550800-0123456789abcdef01234567"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Port", str(parts.port or 443)),
        ("X-Forwarded-Proto", parts.scheme),
    )


def _completed(event: Event, origin: Origin, *, url: str) -> Event:
    """Return the event with all that API Gateway says about a request and the product ignores."""
    when = datetime.fromtimestamp(origin.at, UTC)
    nobody = dict.fromkeys(
        (
            "accessKey",
            "accountId",
            "apiKey",
            "apiKeyId",
            "caller",
            "cognitoAuthenticationProvider",
            "cognitoAuthenticationType",
            "cognitoIdentityId",
            "cognitoIdentityPoolId",
            "principalOrgId",
            "user",
            "userArn",
        )
    )
    context = event["requestContext"]
    context["identity"] = nobody | context["identity"] | {"userAgent": USER_AGENT}
    event["requestContext"] = context | {
        "deploymentId": "d1e2f3",
        "domainName": urlsplit(url).hostname,
        "domainPrefix": (urlsplit(url).hostname or "").split(".")[0],
        "protocol": "HTTP/1.1",
        "requestTime": when.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": origin.at * 1000,
        "resourceId": "r4s5t6",
    }
    return event


def _members(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_none=True)


def _body(members: Mapping[str, object]) -> str:
    return jws.compact_json(members).decode()


def write(made: Mapping[str, Event], folder: Path) -> None:
    """Write each event to `<zone>/<endpoint>.json` in a folder."""
    for name, event in made.items():
        file = folder / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text_of(event))


def text_of(event: Event) -> str:
    """Return an event as it stands in its file."""
    return json.dumps(event, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the committed events, or live ones, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.sample_events")
    parser.add_argument("--live", action="store_true", help="make them for a running stack")
    parser.add_argument("--stack", default=STACK, help="the stack's name (%(default)s)")
    arguments = parser.parse_args()
    if not arguments.live:
        write(events(*fixed()), EVENTS)
        return 0
    try:
        stack = Stack.load(arguments.stack)
        http.send(stack.public_origin, "GET", "/.well-known/jwks.json")
    except (StackNotRunningError, OSError):
        parser.error(NOT_RUNNING.format(name=arguments.stack))
    folder = LOCAL / stack.name / "events"
    folder.mkdir(mode=0o700, exist_ok=True)
    write(events(*live(stack)), folder)
    sys.stdout.write(f"Written to {folder}. Use them within half a minute.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
