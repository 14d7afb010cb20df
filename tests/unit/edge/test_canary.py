"""No value that was sent comes back in a response, or goes into a log line."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from functions.identity.account_options.handler import handler as account_options
from functions.identity.gate.handler import handler as gate
from functions.identity.open_account.handler import OpenAccount
from functions.identity.refresh.handler import handler as refresh
from functions.identity.revoke.handler import handler as revoke
from functions.identity.sign_in.handler import SignIn
from functions.money.order_transfer.handler import handler as order_transfer
from functions.operations.register_partner.handler import handler as register_partner
from portcullis.aws import kms
from portcullis.edge import request as requests
from portcullis.errors import RefusedError
from portcullis.evidence.commands import Envelope
from portcullis.evidence.keys import PublicKey
from portcullis.evidence.orders import OpenWallet, Transfer
from portcullis.identity import tables
from portcullis.operations.registry import Registration
from portcullis.schema import Strict
from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.events import FORM, JSON, Context, Sent
from tests.unit.conftest import Written
from tests.unit.evidence import genuine
from tests.unit.evidence.genuine import ORIGIN, OTHER_ACCOUNT, PUBLIC

CANARY = "c4narysings"
TRANSFER = {"to_account": OTHER_ACCOUNT, "amount": {"amount": "1.00", "currency": "EUR"}}

type Lambda = Callable[[Mapping[str, Any], Any], Any]


@pytest.fixture(autouse=True)
def product(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings and keys that the handlers need to come to a refusal."""

    def public_key(_: str) -> PublicKey:
        return PUBLIC

    monkeypatch.setenv("PUBLIC_ORIGIN", ORIGIN)
    monkeypatch.setenv("ACCESS_TOKEN_KEYS", "access-token")
    monkeypatch.setattr(kms, "public_key", public_key)
    monkeypatch.setattr(tables, "nonce_secret", lambda: bytes(32))


def json_body(text: str | bytes, *more: tuple[str, str], path: str = "/accounts/options") -> Sent:
    """Return a request with a JSON body and more headers."""
    return Sent(path=path, headers=(*JSON, *more), body=text)


def form(text: str, *more: tuple[str, str]) -> Sent:
    """Return a request with a form and more headers."""
    return Sent(path="/oauth/token", headers=(*FORM, *more), body=text)


PROOF_WITH_CANARY = genuine.USER.proof("POST", f"{ORIGIN}/{CANARY}", jti=CANARY, nonce=CANARY)
TOKEN_WITH_CANARY = genuine.token(sub=CANARY, iss=CANARY)

CASES: list[tuple[Lambda, Sent]] = [
    (account_options, json_body(f'{{"a":"{CANARY}"}}')),
    (account_options, json_body(f'{{"a":{{"b":["{CANARY}"]}}}}')),
    (account_options, json_body(f'"{CANARY}"')),
    (account_options, json_body(f'["{CANARY}"]')),
    (account_options, json_body(f'{{"{CANARY}')),
    (account_options, json_body(CANARY)),
    (account_options, json_body(CANARY.encode() + b"\xff")),
    (account_options, json_body(f'{{"a":"{CANARY}","a":"{CANARY}"}}')),
    (account_options, json_body(f'{{"a":"{CANARY}\\ud800"}}')),
    (account_options, json_body(CANARY * 5000)),
    (account_options, json_body("{}", ("DPoP", CANARY))),
    (account_options, json_body("{}", ("DPoP", PROOF_WITH_CANARY))),
    (account_options, json_body("{}", ("X-Any", CANARY), ("x-any", CANARY))),
    (account_options, Sent(headers=[("Content-Type", CANARY)], body="{}")),
    (account_options, Sent(headers=[("Content-Type", f"application/json; {CANARY}")], body="{}")),
    (account_options, Sent(path=f"/{CANARY}%00", body="{}")),
    (account_options, Sent(path=f"/{CANARY}", body="{}")),
    (account_options, Sent(query=[(CANARY, CANARY)], body="{}")),
    (account_options, Sent(method=CANARY, body="{}")),
    (refresh, form(f"grant_type={CANARY}")),
    (refresh, form(f"grant_type=refresh_token&refresh_token={CANARY}&client_id={CANARY}")),
    (refresh, form(f"grant_type=refresh_token&refresh_token={CANARY}")),
    (refresh, form(f"grant_type=refresh_token&refresh_token={CANARY}", ("DPoP", CANARY))),
    (refresh, form(f"token={CANARY}&token={CANARY}")),
    (refresh, form(f"token={CANARY}%ff")),
    (refresh, form(CANARY)),
    (refresh, form(f"token={CANARY}é")),
    (revoke, form(f"token=eyJ{CANARY}")),
    (revoke, form(f"token=a&client_id={CANARY}")),
    (order_transfer, json_body(json.dumps(TRANSFER | {"to_account": CANARY}), path="/transfers")),
    (
        order_transfer,
        json_body(json.dumps(TRANSFER), ("Authorization", f"DPoP {CANARY}"), path="/transfers"),
    ),
    (
        order_transfer,
        json_body(json.dumps(TRANSFER), ("Authorization", f"Bearer {CANARY}"), path="/transfers"),
    ),
    (
        order_transfer,
        json_body(
            json.dumps(TRANSFER),
            ("Authorization", f"DPoP {TOKEN_WITH_CANARY}"),
            ("DPoP", PROOF_WITH_CANARY),
            ("Idempotency-Key", CANARY),
            path="/transfers",
        ),
    ),
]


@pytest.mark.parametrize(("handler", "sent"), CASES, ids=[f"case {n}" for n in range(len(CASES))])
def test_no_value_that_was_sent_is_told_or_logged(
    handler: Lambda, sent: Sent, written: Written
) -> None:
    """Refused in every layer of the edge, a value is in neither the response nor the log."""
    reply = handler(sent.to_function(), Context())
    assert 400 <= reply["statusCode"] < 500
    response = json.dumps(
        {**reply, "body": _without_pointers(json.loads(reply["body"]))}, ensure_ascii=False
    )
    assert CANARY not in response.lower()
    log = written.text()
    assert '"refused"' in log
    assert CANARY not in log.lower()


def _without_pointers(problem: dict[str, Any]) -> dict[str, Any]:
    # A pointer names the properties on its way; their values are what must not come back.
    faults = problem.pop("errors", [])
    return problem | {"reasons": [fault["reason"] for fault in faults]}


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", CANARY)],
        [("Authorization", f"Bearer {CANARY}"), ("DPoP", CANARY)],
        [("Authorization", f"DPoP {CANARY}"), ("DPoP", CANARY)],
        [("Authorization", f"DPoP {TOKEN_WITH_CANARY}"), ("DPoP", PROOF_WITH_CANARY)],
        [("Authorization", f"DPoP {genuine.token()}"), ("DPoP", PROOF_WITH_CANARY)],
        [("DPoP", CANARY), ("dpop", CANARY)],
    ],
    ids=lambda headers: f"{len(str(headers))} characters",
)
def test_the_gate_tells_and_logs_no_value(headers: list[tuple[str, str]], written: Written) -> None:
    """Neither the Deny nor the gate's log line has a value of the request in it."""
    sent = Sent(path=f"/{CANARY}", resource="/{any}", headers=headers, query=[("q", CANARY)])
    policy = gate(sent.to_authorizer(), Context())
    assert policy["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert CANARY not in json.dumps(policy).lower()
    log = written.text()
    assert '"refused"' in log
    assert CANARY not in log.lower()


def _samples() -> Iterator[tuple[type[Strict], dict[str, Any]]]:
    passkey = Authenticator()
    created = passkey.create(
        {
            "challenge": jws.b64url(b"c" * 32),
            "rp": {"id": "api.example.test", "name": "p"},
            "user": {"id": jws.b64url(b"u" * 16), "name": "n", "displayName": "d"},
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
        },
        origin=ORIGIN,
    )
    asserted = passkey.get(
        {"challenge": jws.b64url(b"c" * 32), "rpId": "api.example.test"}, origin=ORIGIN
    )
    yield OpenAccount, {"credential": created}
    yield SignIn, {"credential": asserted}
    yield Transfer, TRANSFER
    yield OpenWallet, {"currency": "EUR"}
    yield Envelope, {"command": "a.b.c"}
    yield (
        Registration,
        {"partner": "p", "role": "r", "key": jws.public_jwk(genuine.KEY), "floor": {"EUR": "1.00"}},
    )


SAMPLES = dict(_samples())
WRONG: list[Any] = [CANARY, CANARY * 9000, [CANARY], {"x": CANARY}, {CANARY: CANARY}]


def _spoilt(value: Any, wrong: Any) -> Iterator[Any]:
    """Return *value* with each part of it, in turn, replaced by *wrong*."""
    yield wrong
    if isinstance(value, dict):
        yield value | {"unknown": wrong}
        for name, member in value.items():
            for spoilt in _spoilt(member, wrong):
                yield value | {name: spoilt}
    elif isinstance(value, list):
        for at, member in enumerate(value):
            for spoilt in _spoilt(member, wrong):
                yield [*value[:at], spoilt, *value[at + 1 :]]


@pytest.mark.parametrize("model", SAMPLES, ids=lambda model: str(model.__name__))
def test_no_reason_of_any_model_holds_a_value(model: type[Strict]) -> None:
    """Whatever is wrong where, in any body of the product, the reasons are our own words."""
    good = SAMPLES[model]
    model.model_validate_json(json.dumps(good))
    found = [
        refusal
        for wrong in WRONG
        for body in _spoilt(good, wrong)
        if (refusal := _refusal_of(body, model)) is not None
    ]
    assert len(found) > len(WRONG)
    for refusal in found:
        assert CANARY not in "".join(fault.reason for fault in refusal.faults)
        assert CANARY not in str(refusal)
        assert refusal.__cause__ is None


def _refusal_of(body: Any, model: type[Strict]) -> RefusedError | None:
    try:
        requests.parse(
            Sent(body=json.dumps(body)).to_function(),
            body=model,
            form=False,
            query=frozenset(),
            body_bytes_max=requests.BODY_BYTES_MAX,
        )
    except RefusedError as refusal:
        return refusal
    return None  # a free text is one that no reason is about


@pytest.mark.parametrize("wrong", WRONG, ids=["text", "long text", "list", "object", "name"])
def test_an_operation_tells_and_logs_no_value(wrong: Any, written: Written) -> None:
    """A directly invoked function keeps the same silence."""
    for event in _spoilt(SAMPLES[Registration], wrong):
        if _is_wrong(event):
            assert CANARY not in json.dumps(_without_pointers(register_partner(event, Context())))
    assert CANARY not in written.text().lower()


def _is_wrong(event: Any) -> bool:
    try:
        Registration.model_validate_json(json.dumps(event))
    except ValueError:
        return True
    return False
