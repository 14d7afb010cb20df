"""What presenting a refresh token amounts to: every case, against a plain reading of the rules."""

from dataclasses import replace
from itertools import product

import pytest

from portcullis.identity import sessions
from portcullis.identity.families import Handle, Keys, RefreshToken
from portcullis.identity.sessions import ENDED, LIVE, RETRY_WINDOW_S, Session, Use, use_of
from portcullis.identity.standing import ACTIVE, Standing

NOW = 1_800_000_000
KEYS = Keys(b"p" * 32)
HANDLE = Handle.new(bytes(16))
OLDER, PREVIOUS, CURRENT, FUTURE = (KEYS.mint(HANDLE, generation) for generation in (3, 4, 5, 6))
JKT, OTHER_JKT = "key", "another key"

SESSION = Session(
    sid=HANDLE.sid,
    account=HANDLE.account,
    status=LIVE,
    epoch=2,
    jkt=JKT,
    acr="acr",
    amr=("hwk",),
    auth_time=NOW - 1000,
    generation=5,
    current=CURRENT.digest,
    previous=PREVIOUS.digest,
    rotated_at=NOW - 10,
    retries=0,
    sealed=b"sealed",
    attempt="attempt",
    idle_expires=NOW + 1000,
    absolute_expires=NOW + 2000,
)
STANDING = Standing(account=HANDLE.account, status=ACTIVE, epoch=2)


def use(
    token: RefreshToken,
    session: Session = SESSION,
    standing: Standing = STANDING,
    *,
    jkt: str = JKT,
    seen: int = 4,
    now: int = NOW,
) -> Use:
    """Return the use of a token; by default all is well."""
    return use_of(token, session, standing, jkt=jkt, generation_seen=seen, now_s=now)


# ---- the table ----------------------------------------------------------------------------------

TOKENS = {
    "current": CURRENT,
    "current generation, another secret": KEYS.mint(HANDLE, 5),
    "previous": PREVIOUS,
    "previous generation, another secret": KEYS.mint(HANDLE, 4),
    "older": OLDER,
    "first": KEYS.mint(HANDLE, 1),
    "future": FUTURE,
    "older generation, current secret": RefreshToken(HANDLE, 3, CURRENT.secret),
    "future generation, current secret": RefreshToken(HANDLE, 6, CURRENT.secret),
}
ROTATED_AGO_S = (0, RETRY_WINDOW_S - 1, RETRY_WINDOW_S, RETRY_WINDOW_S + 1)
IDLE = {"within": NOW + 1, "at its end": NOW}
STATES = {
    "live": (SESSION, STANDING),
    "ended": (replace(SESSION, status=ENDED), STANDING),
    "of an older epoch": (SESSION, replace(STANDING, epoch=3)),
    "of a newer epoch": (replace(SESSION, epoch=3), STANDING),
    "quarantined": (SESSION, replace(STANDING, status="QUARANTINED")),
    "too old": (replace(SESSION, absolute_expires=NOW), STANDING),
}


def expected(
    name: str, state: str, *, own_key: bool, ago: int, retries: int, seen: int, idle: str
) -> Use:
    """Return what the rules of refresh tokens say, read plainly."""
    if state != "live":
        return Use.REFUSED  # nothing renews a dead session, and a dead family raises no alarm
    if name == "current":
        return Use.ROTATION if own_key and idle == "within" else Use.REFUSED
    if name in {
        "current generation, another secret",
        "future",
        "future generation, current secret",
    }:
        return Use.REFUSED  # a good tag that the table does not know: never a kill
    sealed_retry = (
        name == "previous" and own_key and ago < RETRY_WINDOW_S and retries == 0 and seen < 5
    )
    return Use.RETRY if sealed_retry else Use.REUSE


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", TOKENS)
def test_every_case(name: str, state: str) -> None:
    """Token x session x key x time since rotation x retries x sighting x idleness."""
    session, standing = STATES[state]
    for own_key, ago, retries, seen, idle in product(
        (True, False), ROTATED_AGO_S, (0, 1, 2), (0, 4, 5, 6), IDLE
    ):
        case = replace(session, rotated_at=NOW - ago, retries=retries, idle_expires=IDLE[idle])
        jkt = JKT if own_key else OTHER_JKT
        outcome = use(TOKENS[name], case, standing, jkt=jkt, seen=seen)
        wanted = expected(
            name, state, own_key=own_key, ago=ago, retries=retries, seen=seen, idle=idle
        )
        assert outcome is wanted, (own_key, ago, retries, seen, idle)


# ---- the rules, one by one ----------------------------------------------------------------------


def test_the_current_token_is_rotated() -> None:
    """The honest case."""
    assert use(CURRENT) is Use.ROTATION


def test_a_current_token_with_another_key_is_refused() -> None:
    """RFC 9449 section 5; and a reader of logs cannot end sessions: refused, never a kill."""
    assert use(CURRENT, jkt=OTHER_JKT) is Use.REFUSED


def test_a_spent_token_ends_its_family_whoever_presents_it() -> None:
    """However old it is, and with whatever key."""
    for token, jkt in product((OLDER, KEYS.mint(HANDLE, 1)), (JKT, OTHER_JKT)):
        assert use(token, jkt=jkt) is Use.REUSE


def test_the_predecessor_has_one_retry() -> None:
    """An answer can be lost once; a second try of the same generation is a thief's."""
    assert use(PREVIOUS) is Use.RETRY
    assert use(PREVIOUS, replace(SESSION, retries=1)) is Use.REUSE


def test_the_retry_ends_with_its_window() -> None:
    """The predecessor's last second is the 29th after the rotation."""
    assert use(PREVIOUS, now=SESSION.rotated_at + RETRY_WINDOW_S - 1) is Use.RETRY
    assert use(PREVIOUS, now=SESSION.rotated_at + RETRY_WINDOW_S) is Use.REUSE


def test_the_retry_ends_when_the_successor_is_seen() -> None:
    """Whoever used the successor's access token had the answer, so nobody needs it again."""
    assert use(PREVIOUS, seen=4) is Use.RETRY
    assert use(PREVIOUS, seen=5) is Use.REUSE


def test_the_retry_is_for_the_key_of_the_session() -> None:
    """A stolen predecessor without the key is a spent token."""
    assert use(PREVIOUS, jkt=OTHER_JKT) is Use.REUSE


def test_a_rewound_table_ends_nothing() -> None:
    """A generation that the table does not know yet is refused, and nothing changes."""
    assert use(FUTURE) is Use.REFUSED


def test_a_first_generation_has_no_predecessor() -> None:
    """A family that never rotated has an empty predecessor, which no token matches."""
    newborn = replace(SESSION, generation=1, current=KEYS.mint(HANDLE, 1).digest, previous=b"")
    assert use(KEYS.mint(HANDLE, 1), newborn) is Use.REFUSED
    assert use(KEYS.mint(HANDLE, 0), newborn) is Use.REUSE


@pytest.mark.parametrize("token", [CURRENT, PREVIOUS, OLDER], ids=["current", "previous", "older"])
@pytest.mark.parametrize("state", [name for name in STATES if name != "live"])
def test_nothing_renews_a_dead_session(token: RefreshToken, state: str) -> None:
    """Ended, terminated, restricted or too old: every token of it is refused."""
    session, standing = STATES[state]
    assert use(token, session, standing) is Use.REFUSED


def test_a_session_ends_at_its_age_and_not_before() -> None:
    """The last second of 30 days is the one before they are over."""
    assert SESSION.is_live(STANDING, now_s=SESSION.absolute_expires - 1)
    assert not SESSION.is_live(STANDING, now_s=SESSION.absolute_expires)


def test_a_session_survives_its_item() -> None:
    """What is stored is what is read; the item outlives the session, to know its spent tokens."""
    item = SESSION.to_item()
    assert Session.from_item(item) == SESSION
    assert item["ttl"] == SESSION.absolute_expires + sessions.TOMBSTONE_S


def test_a_seal_is_bound_to_everything_that_may_not_change() -> None:
    """Session, generation, key and time of rotation each change the context."""
    base = {"generation": 5, "jkt": "k", "rotated_at": 1}
    contexts = {
        sessions.seal_context("s", **base),  # type: ignore[arg-type]
        sessions.seal_context("t", **base),  # type: ignore[arg-type]
        *(
            sessions.seal_context("s", **base | change)  # type: ignore[arg-type]
            for change in ({"generation": 6}, {"jkt": "l"}, {"rotated_at": 2})
        ),
    }
    assert len(contexts) == 5
