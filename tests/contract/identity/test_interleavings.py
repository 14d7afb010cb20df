"""Refreshes, endings, sign-ins and requests of one account, in every order of their store calls."""

import functools
import itertools
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pytest

from portcullis.aws import clients, dynamodb
from portcullis.aws.dynamodb import Item
from portcullis.evidence.access_token import AccessToken
from portcullis.identity import (
    judge,
    nonces,
    refresh,
    restraint,
    revocation,
    sessions,
    sightings,
    sign_in,
    sign_out,
    tokens,
)
from portcullis.identity import tables as keys
from portcullis.identity.families import Handle, InvalidGrantError
from portcullis.identity.gate import SessionEndedError, SessionTerminatedError
from portcullis.identity.observations import Baseline
from portcullis.identity.restraint import DONE, Judged, Restraint
from portcullis.identity.session_list import SessionList
from portcullis.identity.sessions import Session, Use
from portcullis.identity.standing import AccountRestrictedError, Standing
from portcullis.identity.tokens import Tokens
from tests.contract.identity import records, schedules
from tests.contract.identity.conftest import Product
from tests.contract.identity.people import (
    ELSEWHERE,
    SIGN_IN,
    SOURCE,
    TOKEN,
    Family,
    Person,
    admit,
    family_of,
    now,
    proof_of,
)
from tests.contract.identity.schedules import Deed, Run, Step
from tests.support import jws
from tests.support.authenticator import Authenticator
from tests.support.dpop import ProofKey
from tests.support.tables import Tables

pytestmark = pytest.mark.contract

LOG = logging.getLogger(__name__)
"""How many orders there are: shown with ``--log-cli-level INFO``."""

ALL = os.environ.get("INTERLEAVINGS") == "all"
"""Every three with a refresh and an ending among them, which takes many minutes."""

GENERATION = 3
"""Old enough to have a current token, its predecessor, and one that is spent."""


@dataclass
class Holder:
    """The client of a session: its refresh tokens by generation, and its access tokens."""

    account: str
    sid: str
    key: ProofKey
    refresh_tokens: dict[int, str]
    signed: Callable[[], str] = field(repr=False)

    @cached_property
    def access_token(self) -> str:
        """An access token of the present generation, signed only if it is asked for."""
        return self.signed()

    @property
    def has_signed(self) -> bool:
        """Whether it was asked for."""
        return "access_token" in vars(self)

    @property
    def family(self) -> Family:
        """What the client holds now."""
        return Family(
            self.account, self.sid, self.key, self.refresh_tokens[GENERATION], self.access_token
        )


@dataclass(frozen=True, repr=False)
class Scene:
    """An account with two live sessions, as a schedule finds it: *this* one and an *other*."""

    tables: Tables
    person: Person
    this: Holder
    other: Holder
    epoch: int
    last_event: int
    now_s: int

    @classmethod
    def fresh(cls, tables: Tables, person: Person, like: Session) -> "Scene":
        """Give the account two new sessions, and forget in its list those of earlier schedules.

        A quarantine of an earlier one is over.
        """
        now_s = now()
        records.pardon(tables, person.account)
        standing, head = dynamodb.batch_get(
            (keys.standing(), keys.standing_key(person.account)),
            (keys.identity(), keys.outbox_key(person.account)),
        )
        assert standing is not None
        assert head is not None
        like = replace(like, epoch=standing["epoch"], auth_time=now_s, rotated_at=now_s)
        (one, this), (two, other) = _rotated(person, like), _rotated(person, like)
        listed = SessionList(person.account, version=1, sids=(this.sid, other.sid))
        sights = [_sight(session, now_s=now_s) for session in (one, two)]
        items = [listed.to_item(), one.to_item(), two.to_item(), *sights]
        puts = [{"PutRequest": {"Item": dynamodb._encode_item(item)}} for item in items]
        tables.call("batch_write_item", RequestItems={tables.identity: puts})
        return cls(
            tables,
            person,
            this,
            other,
            epoch=standing["epoch"],
            last_event=head["last"],
            now_s=now_s,
        )


def _sight(session: Session, *, now_s: int) -> dict[str, Any]:
    """Return what the sign-in would have left to be judged by."""
    baseline = Baseline.of(sightings.observe(SOURCE, now_s=now_s))
    return {
        **keys.sightings_key(session.sid),
        "gen_seen": 0,
        "placed_at": now_s,
        "sights": baseline.model_dump_json(include={"sights"}),
        "known": baseline.model_dump_json(include={"labels", "devices"}),
    }


def _rotated(person: Person, like: Session) -> tuple[Session, Holder]:
    """Return a session as its rotations would have left it, and what its client holds."""
    family_keys, handle = tokens.family_keys(), Handle.new(person.handle)
    minted = [family_keys.mint(handle, generation) for generation in range(1, GENERATION + 1)]
    *_, predecessor, current = minted
    context = sessions.seal_context(
        handle.sid, generation=GENERATION, jkt=like.jkt, rotated_at=like.rotated_at
    )
    session = replace(
        like,
        sid=handle.sid,
        generation=GENERATION,
        current=current.digest,
        previous=predecessor.digest,
        sealed=family_keys.seal(current, spent=predecessor, context=context),
    )
    holder = Holder(
        account=person.account,
        sid=handle.sid,
        key=person.key,
        refresh_tokens={one.generation: family_keys.text(one) for one in minted},
        signed=lambda: tokens.issue(session, current, now_s=like.auth_time).access_token,
    )
    return session, holder


def _presenting(generation: int, scene: Scene) -> Deed:
    proof = proof_of(scene.this.key, TOKEN, at_s=scene.now_s)  # its nonce is of that time
    text = scene.this.refresh_tokens[generation]
    return lambda: refresh.refresh(text, proof=proof, source=SOURCE, now_s=scene.now_s)


def _steal(scene: Scene) -> Deed:
    present = _presenting(GENERATION - 2, scene)

    def deed() -> InvalidGrantError:
        with pytest.raises(InvalidGrantError) as refusal:
            present()
        return refusal.value

    return deed


def _revoke(scene: Scene) -> Deed:
    text = scene.this.refresh_tokens[GENERATION]
    return lambda: revocation.revoke(text, now_s=scene.now_s)


def _sign_out(scene: Scene) -> Deed:
    principal = scene.this.family.principal("DELETE", "/sessions/{id}")
    return lambda: sign_out.end_one(scene.this.sid, principal=principal, now_s=scene.now_s)


def _end_all(scene: Scene) -> Deed:
    principal = scene.this.family.principal("DELETE", "/sessions")
    return lambda: sign_out.end_all(except_current=False, principal=principal, now_s=scene.now_s)


def _end_others(scene: Scene) -> Deed:
    principal = scene.other.family.principal("DELETE", "/sessions")
    return lambda: sign_out.end_all(except_current=True, principal=principal, now_s=scene.now_s)


def _kill(scene: Scene) -> Deed:
    """A raise of the epoch around the product, which leaves the status as it is."""

    def deed() -> None:
        schedules.stop_before("update_item")
        scene.tables.call(
            "update_item",
            TableName=scene.tables.standing,
            Key={"pk": {"S": scene.person.account}},
            UpdateExpression="SET epoch = epoch + :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    return deed


def _restrain(scene: Scene) -> Deed:
    """The kill that a gate has ordered, which has seen *this* session elsewhere."""
    baseline = Baseline.of(sightings.observe(SOURCE, now_s=scene.now_s))
    seen = sightings.observe(ELSEWHERE, now_s=scene.now_s)
    order = Restraint(
        account=scene.person.account,
        sid=scene.this.sid,
        occasion="request",
        epoch=scene.epoch,
        judged=Judged(
            baseline=baseline,
            observation=seen,
            verdict=judge.judge(judge.POLICY, baseline, seen),
        ),
    )
    return lambda: restraint.restrain(order, now_s=scene.now_s)


def _sign_in(scene: Scene) -> Deed:
    key = ProofKey()
    assertion, proof = scene.person.assertion(key), proof_of(key, SIGN_IN)

    def deed() -> Family:
        started = sign_in.sign_in(assertion, proof=proof, source=SOURCE, now_s=scene.now_s)
        return family_of(started, key)

    return deed


def _visit(scene: Scene) -> Deed:
    token = scene.this.access_token
    return lambda: admit(scene.this.key, token)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What somebody does, what it answers, and how it may be refused.

    ``ends``: whose sessions are dead once it has returned. ``raises``: it raises the epoch.
    ``needs``: whose tokens it is done with, so that it is refused once they are dead.
    ``once``: it does nothing where another has raised the epoch before.
    """

    prepare: Callable[[Scene], Deed]
    answers: type
    refusals: tuple[type[Exception], ...] = ()
    ends: tuple[str, ...] = ()
    raises: bool = False
    needs: str | None = None
    once: bool = False


NOTHING = type(None)
OVER = (SessionEndedError, SessionTerminatedError)

REFRESHES: Mapping[str, Operation] = {
    name: Operation(
        prepare=functools.partial(_presenting, generation),
        answers=Tokens,
        refusals=(InvalidGrantError,),
        needs="this",
    )
    for name, generation in {"refresh": GENERATION, "retry": GENERATION - 1}.items()
}
ENDINGS: Mapping[str, Operation] = {
    "revoke": Operation(prepare=_revoke, answers=NOTHING, ends=("this",)),
    "sign-out": Operation(
        prepare=_sign_out, answers=NOTHING, refusals=OVER, ends=("this",), needs="this"
    ),
    "end-all": Operation(
        prepare=_end_all,
        answers=NOTHING,
        refusals=OVER,
        ends=("this", "other"),
        raises=True,
        needs="this",
    ),
    "end-others": Operation(
        prepare=_end_others,
        answers=NOTHING,
        refusals=OVER,
        ends=("this",),
        raises=True,
        needs="other",
    ),
    "kill": Operation(prepare=_kill, answers=NOTHING, ends=("this", "other"), raises=True),
    "restrain": Operation(
        prepare=_restrain, answers=dict, ends=("this", "other"), raises=True, once=True
    ),
}
OPERATIONS: Mapping[str, Operation] = {
    **REFRESHES,
    "thief": Operation(prepare=_steal, answers=InvalidGrantError, ends=("this",)),
    **ENDINGS,
    "sign-in": Operation(prepare=_sign_in, answers=Family),
    "visit": Operation(prepare=_visit, answers=AccessToken, refusals=OVER, needs="this"),
}

PAIRS = list(itertools.combinations_with_replacement(OPERATIONS, 2))
TRIPLES = [
    names
    for names in itertools.combinations_with_replacement(OPERATIONS, 3)
    if {*REFRESHES, "thief"} & {*names} and {*ENDINGS} & {*names}
]
CLOSEST = [
    ("refresh", "refresh", "revoke"),
    ("refresh", "refresh", "kill"),
    ("refresh", "retry", "kill"),
    ("refresh", "kill", "sign-in"),
    ("retry", "kill", "visit"),
    ("refresh", "end-others", "visit"),
    ("refresh", "restrain", "restrain"),
    ("refresh", "restrain", "sign-in"),
    ("retry", "end-others", "restrain"),
]
"""Those triples in which the most can go wrong: what is run if nobody asks for all."""


@dataclass(frozen=True)
class Act:
    """One operation of a schedule, when it called the store, and what came of it."""

    name: str
    calls: Sequence[int]
    outcome: object
    wrote: bool
    """Whether its last call was a write: it has changed something, and did not just look."""

    @property
    def operation(self) -> Operation:
        """What kind of operation it is."""
        return OPERATIONS[self.name]

    @property
    def returned(self) -> int:
        """When it called the store last."""
        return self.calls[-1]

    @property
    def decided(self) -> int:
        """When it is decided whether it may: in its write, but at the gate in the read."""
        return self.calls[0] if self.name == "visit" else self.returned

    @property
    def answered(self) -> bool:
        """Whether it did what it is for."""
        return isinstance(self.outcome, self.operation.answers) and not self.is_late

    @property
    def is_late(self) -> bool:
        """Whether it found that another had done it, and took that for its own."""
        return self.operation.once and self.outcome == DONE and not self.wrote


@dataclass(frozen=True, repr=False)
class Aftermath:
    """A scene after a schedule: what was done in which order, and what is stored."""

    scene: Scene
    run: Run
    acts: Sequence[Act]
    standing: Standing
    listed: SessionList
    items: Mapping[str, Item]
    generation_seen: int
    last_event: int

    @classmethod
    def of(cls, scene: Scene, names: Sequence[str], run: Run) -> "Aftermath":
        """Read what a schedule has left."""
        account = scene.person.account
        acts = [
            Act(name, run.of(lane), outcome, wrote=not run.steps[run.of(lane)[-1]].reads)
            for lane, (name, outcome) in enumerate(zip(names, run.outcomes, strict=True))
        ]
        started = [act.outcome.sid for act in acts if isinstance(act.outcome, Family)]
        sids = [scene.this.sid, scene.other.sid, *started]
        standing, listed, head, sight, *found = dynamodb.batch_get(
            (keys.standing(), keys.standing_key(account)),
            (keys.identity(), keys.sessions_key(account)),
            (keys.identity(), keys.outbox_key(account)),
            (keys.identity(), keys.sightings_key(scene.this.sid)),
            *((keys.identity(), keys.session_key(sid)) for sid in sids),
        )
        assert standing is not None
        assert listed is not None
        assert head is not None
        return cls(
            scene=scene,
            run=run,
            acts=acts,
            standing=Standing.from_item(standing),
            listed=SessionList.from_item(listed),
            items={item["sid"]: item for item in found if item is not None},
            generation_seen=sight["gen_seen"] if sight else 0,
            last_event=head["last"],
        )

    @cached_property
    def events(self) -> list[Item]:
        """The schedule's events: none is missing up to the last number, and none is beyond."""
        numbers = range(self.scene.last_event + 1, self.last_event + 2)
        *found, beyond = dynamodb.batch_get(
            *((keys.identity(), keys.event_key(self.scene.person.account, one)) for one in numbers)
        )
        assert beyond is None
        written = [event for event in found if event is not None]
        assert len(written) == len(found)
        return written

    def session(self, sid: str) -> Session:
        """Return a session as it is stored."""
        return Session.from_item(self.items[sid])

    def is_live(self, sid: str) -> bool:
        """Whether a session is live by what is stored."""
        return self.session(sid).is_live(self.standing, now_s=self.scene.now_s)

    def use_of(self, text: str) -> Use:
        """Return what it would amount to that *this* client presents a refresh token now."""
        this = self.scene.this
        return sessions.use_of(
            tokens.family_keys().parse(text),
            self.session(this.sid),
            self.standing,
            jkt=this.key.jkt,
            generation_seen=self.generation_seen,
            now_s=self.scene.now_s,
        )

    def issued(self, *names: str) -> list[Tokens]:
        """Return what the refreshes of these names were answered."""
        return [
            act.outcome
            for act in self.acts
            if act.name in names and isinstance(act.outcome, Tokens)
        ]

    @property
    def started(self) -> list[tuple[Act, Family]]:
        """The sign-ins, and the sessions that they have started."""
        return [(act, act.outcome) for act in self.acts if isinstance(act.outcome, Family)]

    @property
    def raised(self) -> list[Act]:
        """The operations that have raised the epoch."""
        return [act for act in self.acts if act.operation.raises and act.answered]


def _judge(after: Aftermath) -> None:
    """Demand everything that holds after every schedule."""
    _judge_outcomes(after)
    _judge_endings(after, "this", after.scene.this)
    _judge_endings(after, "other", after.scene.other)
    _judge_refresh_tokens(after)
    _judge_retries(after)
    _judge_sign_ins(after)
    _judge_restraint(after)
    _judge_events(after)
    assert sorted(after.listed.sids) == sorted(after.items), "the list has every session"
    _try_access_tokens(after)
    _try_refresh_tokens(after)


def _judge_outcomes(after: Aftermath) -> None:
    """Whatever is not answered is a documented refusal, and there is a reason for it."""
    for act in after.acts:
        assert act.calls, "it never came to the store"
        refused = act.is_late or isinstance(act.outcome, act.operation.refusals)
        if not act.answered and not refused:
            raise AssertionError(act.name) from _error(act.outcome)
    names = Counter(act.name for act in after.acts)
    presented = Counter({name: names[name] for name in REFRESHES})
    # Two that present one token are a request and its retry. A third one is too many, and so is
    # a retry of what was rotated or seen.
    lawful = presented <= Counter(refresh=2) or (
        presented <= Counter(retry=1) and not names["visit"]
    )
    if lawful and not any(act.operation.ends for act in after.acts):
        assert all(act.answered for act in after.acts)


def _error(outcome: object) -> Exception | None:
    return outcome if isinstance(outcome, Exception) else None


def _judge_endings(after: Aftermath, whose: str, holder: Holder) -> None:
    """Once an ending has returned, what it ended serves nobody, who may have begun before."""
    endings = [act for act in after.acts if whose in act.operation.ends and act.answered]
    users = [act for act in after.acts if act.operation.needs == whose]
    for user in users:
        # A raise kills every access token, that of a session which it spares too.
        over = [act for act in (*endings, *after.raised) if act is not user]
        assert not user.answered or all(user.decided < act.returned for act in over)
    reused = any(user.name in REFRESHES and not user.answered for user in users)
    assert after.is_live(holder.sid) is not (bool(endings) or reused)
    refused = any(not user.answered for user in users)
    assert not refused or endings or reused or after.raised


def _judge_refresh_tokens(after: Aftermath) -> None:
    """A live session has one current token and a dead one none, whoever holds which."""
    this, session = after.scene.this, after.session(after.scene.this.sid)
    rotated = {one.refresh_token for one in after.issued("refresh")}
    retried = {one.refresh_token for one in after.issued("retry")}
    assert retried <= {this.refresh_tokens[GENERATION]}
    assert len(rotated) == session.generation - GENERATION
    for text in rotated:
        successor = tokens.family_keys().parse(text)
        assert (successor.generation, successor.digest) == (GENERATION + 1, session.current)
    uses = [after.use_of(text) for text in {*this.refresh_tokens.values(), *rotated}]
    if after.is_live(this.sid):
        assert uses.count(Use.ROTATION) == 1
        assert uses.count(Use.RETRY) <= 1
    else:
        assert {*uses} == {Use.REFUSED}


def _judge_retries(after: Aftermath) -> None:
    """A token serves its holder twice at most, and once only when its successor is at work."""
    retries, rotations, visits = (
        [act for act in after.acts if act.name == name and act.answered]
        for name in ("retry", "refresh", "visit")
    )
    assert len(retries) <= 1
    assert len(rotations) <= 2
    for retry in retries:
        assert all(retry.decided < act.returned for act in (*rotations, *visits))


def _judge_sign_ins(after: Aftermath) -> None:
    """What a sign-in has started lives, unless the epoch was raised after its read.

    In a quarantine it has started and is good for the lift alone.
    """
    for act, family in after.started:
        *_, read, written = act.calls
        assert [after.run.steps[at].reads for at in (read, written)] == [True, False]
        later = [one for one in after.raised if one.returned > read]
        assert all(one.returned > written for one in later), "raised between read and write"
        assert after.is_live(family.sid) is (not later and after.standing.is_active)


def _judge_restraint(after: Aftermath) -> None:
    """One kill for one epoch, however many ask for it; and none that asks is the last to know."""
    done = [act for act in after.acts if act.name == "restrain" and act.answered]
    assert len(done) <= 1
    assert after.standing.is_quarantined is bool(done)
    assert after.standing.epoch == after.scene.epoch + len(after.raised)
    for act in after.acts:
        if act.is_late:
            assert any(one.returned < act.returned for one in after.raised)


def _judge_events(after: Aftermath) -> None:
    """Every change has its one event, and every event its change."""
    changes = [
        *(
            ("session-ended", item["sid"], item["end_reason"])
            for item in after.items.values()
            if item["status"] == sessions.ENDED
        ),
        *(("session-started", family.sid, "") for _, family in after.started),
        *(
            ("sessions-ended", "", "signed-out")
            for act in after.raised
            if act.name in {"end-all", "end-others"}
        ),
        *(
            ("account-quarantined", after.scene.this.sid, "")
            for act in after.raised
            if act.name == "restrain"
        ),
    ]
    told = [
        (event["kind"], event.get("sid", ""), event.get("reason", "")) for event in after.events
    ]
    assert sorted(told) == sorted(changes)


def _try_access_tokens(after: Aftermath) -> None:
    """Every access token that was given out passes while its session and its epoch live."""
    scene = after.scene
    given = [(scene.this.key, one.access_token) for one in after.issued(*REFRESHES)]
    given += [(one.key, one.access_token) for _, one in after.started]
    given += [(one.key, one.access_token) for one in (scene.this, scene.other) if one.has_signed]
    for key, text in given:
        claims = jws.claims_of(text)
        alive = after.is_live(str(claims["sid"])) and claims["epoch"] == after.standing.epoch
        assert _passes(key, text) is alive


def _passes(key: ProofKey, text: str) -> bool:
    try:
        admit(key, text)
    except (*OVER, AccountRestrictedError):
        return False
    return True


def _try_refresh_tokens(after: Aftermath) -> None:
    """Every refresh token of a dead session is refused, and the current one of a live one works.

    No other of a live one is tried: it would end the session.
    """
    this, other = after.scene.this, after.scene.other
    known = {*this.refresh_tokens.values(), *(one.refresh_token for one in after.issued("refresh"))}
    current = [text for text in known if after.use_of(text) is Use.ROTATION]
    _present(after, this.sid, this.key, current or known)
    _present(after, other.sid, other.key, [other.refresh_tokens[GENERATION]])
    for _, family in after.started:
        _present(after, family.sid, family.key, [family.refresh_token])


def _present(after: Aftermath, sid: str, key: ProofKey, texts: Iterable[str]) -> None:
    for text in texts:
        proof = proof_of(key, TOKEN)
        if after.is_live(sid):
            given = refresh.refresh(text, proof=proof, source=SOURCE, now_s=now())
            successor = tokens.family_keys().parse(given.refresh_token)
            assert successor.generation == after.session(sid).generation + 1
        else:
            with pytest.raises(InvalidGrantError):
                refresh.refresh(text, proof=proof, source=SOURCE, now_s=now())


@dataclass(frozen=True, repr=False)
class Stage:
    """Where schedules are run: one account, whose sessions each schedule has for itself."""

    tables: Tables
    person: Person
    like: Session

    def enumerate(self, *names: str) -> None:
        """Run the operations in every order and judge what each leaves."""
        scenes: list[Scene] = []

        def begin() -> list[Deed]:
            scene = Scene.fresh(self.tables, self.person, self.like)
            scenes[:] = [scene]
            return [OPERATIONS[name].prepare(scene) for name in names]

        count = 0
        for run in schedules.every(names, begin):
            count += 1
            try:
                _judge(Aftermath.of(scenes[0], names, run))
            except BaseException as failure:
                order = [f"{names[step.lane]}#{step.lane}: {step.call}" for step in run.steps]
                failure.add_note("\n".join([", ".join(names), *order, str(run.outcomes)]))
                raise
        LOG.info("%s: %d orders", ", ".join(names), count)


@pytest.fixture
def stage(product: Product, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """An account on the product's tables, whose operations stop before every call to them."""
    # However busy the machine is, a schedule waits: a time-out would be another one.
    monkeypatch.setattr(clients, "READ_TIMEOUT_S", schedules.STEP_TIMEOUT_S)
    tokens.family_keys()
    nonces.fresh()
    keys.sightings_secret()
    # Its passkey is synced, which counts no signatures: two that its owner gave may cross.
    synced = Authenticator(backup_eligible=True, backed_up=True, counts=False)
    person = Person.with_account(synced)
    like = person.session_at(GENERATION).stored
    # No operation of these looks into another's bucket: when it is filled shows nowhere.
    schedules.install(monkeypatch, unscheduled=lambda call: "BUCKET#" in str(call.get("Key")))
    return Stage(product[0], person, like)


@pytest.mark.parametrize("first", OPERATIONS)
def test_no_order_of_any_two_leaves_alive_what_should_be_dead(stage: Stage, first: str) -> None:
    """In every order of any two: one live token at most, none after an ending, no event lost."""
    for names in PAIRS:
        if names[0] == first:
            stage.enumerate(*names)


@pytest.mark.parametrize("names", TRIPLES if ALL else CLOSEST, ids=", ".join)
def test_no_order_of_three_leaves_alive_what_should_be_dead(
    stage: Stage, names: tuple[str, ...]
) -> None:
    """In every order of a refresh, an ending and a third one, the same holds."""
    stage.enumerate(*names)


SHAPES = {"a": ("get_item", "put_item", "query"), "b": ("put_item", "get_item"), "c": ("put_item",)}


@pytest.mark.parametrize("names", ["ab", "abc", "ba", "bcc", "aac"])
def test_every_order_is_run_once(names: str) -> None:
    """The schedules are all orders of the calls, once each but for reads that commute and twins."""

    def deed(name: str) -> None:
        for call in SHAPES[name]:
            schedules.stop_before(call)

    def begin() -> list[Deed]:
        return [functools.partial(deed, name) for name in names]

    found = [run.steps for run in schedules.every(names, begin)]
    lanes = [lane for lane, name in enumerate(names) for _ in SHAPES[name]]
    wanted = {_canonical(names, order) for order in set(itertools.permutations(lanes))}
    twins = [(one - 1, one) for one in range(1, len(names)) if names[one - 1] == names[one]]
    wanted = {order for order in wanted if all(_is_first(order, *pair) for pair in twins)}
    assert len(found) == len({*found})
    assert {*found} == wanted


def _canonical(names: str, lanes: Sequence[int]) -> tuple[Step, ...]:
    calls = {lane: iter(SHAPES[name]) for lane, name in enumerate(names)}
    steps = [Step(lane, next(calls[lane])) for lane in lanes]
    blocks = itertools.groupby(steps, key=lambda step: step.reads)
    return tuple(
        step
        for reads, block in blocks
        for step in (sorted(block, key=lambda one: one.lane) if reads else block)
    )


def _is_first(order: Sequence[Step], one: int, other: int) -> bool:
    lanes = [step.lane for step in order]
    return lanes.index(one) < lanes.index(other)
