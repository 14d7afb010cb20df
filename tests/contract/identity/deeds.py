"""What the machine may do to its accounts: how often each deed is drawn, and with what."""

from typing import Any

from hypothesis import strategies as st

from portcullis.identity import assurance
from tests.contract.identity.model import DAY_S

NOBODY, FIRST, AGAIN = -1, -2, -3
"""Who approves: nobody; the first full passkey; an approval that was given before. Or by index."""

_which = st.sampled_from([0, 0, 0, 1, 2])
"""An account; one of them has most of what happens."""
_back = st.integers(0, 3)
"""How far back in a list, from its end."""
_caller = st.sampled_from([NOBODY, NOBODY, NOBODY, 0, 1, 2])
"""A session by how far back it began; NOBODY: one that may do everything, if there can be one."""
_by = st.sampled_from([FIRST, FIRST, FIRST, AGAIN, NOBODY, 0, 1, 2])
_codes = st.sampled_from([0, 0, 1, 10, 10])
"""A recovery code by how far back it was minted: the tenth is of an older set."""
MOSTLY = st.sampled_from([True, True, True, False])
PAIRS = st.sampled_from([FIRST, FIRST, NOBODY, NOBODY, None])
"""Who approves the password and the TOTP that an account begins with, if it does."""

type Deed = tuple[str, dict[str, Any]]


def _deed(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Deed]:
    return st.tuples(st.just(name), st.fixed_dictionaries(arguments))


_BY_OWNER = {"account": _which, "session": _caller}
_CHEAP = [
    _deed("sign_in", account=_which, passkey=_back),
    _deed("sign_in", account=_which, passkey=_back),
    _deed("answer_code", ticket=_back, offset=st.sampled_from([-2, -1, 0, 1, 1, 2])),
    _deed("answer_code", ticket=st.just(0), offset=st.sampled_from([-1, 0, 1])),
    _deed("answer_passkey", ticket=_back, stranger=st.sampled_from([0, 0, 1]), passkey=_back),
    _deed("refresh", account=_which, session=_back, generation=_back, own=MOSTLY),
    _deed("refresh", account=_which, session=_back, generation=st.integers(0, 1), own=MOSTLY),
    _deed("revoke", account=_which, session=_back, generation=_back),
    _deed("end_one", **_BY_OWNER, other=_back, stranger=st.sampled_from([0, 0, 0, 1])),
    _deed("end_all", **_BY_OWNER, kept=MOSTLY),
    _deed("add_passkey", **_BY_OWNER, by=_by, used=st.booleans()),
    _deed("add_passkey", **_BY_OWNER, by=st.just(NOBODY), used=MOSTLY),
    _deed("remove_passkey", **_BY_OWNER, passkey=_back, by=_by),
    _deed("remove_passkey", **_BY_OWNER, passkey=_back, by=st.just(FIRST)),
    _deed("add_totp", **_BY_OWNER, by=_by, offset=st.sampled_from([-1, -1, -1, 0, 2])),
    _deed("remove_totp", **_BY_OWNER, by=_by),
    _deed("mint", **_BY_OWNER, by=_by),
    _deed("recover", account=_which, code=_codes, used=st.booleans()),
    _deed("cancel", **_BY_OWNER),
    _deed("quarantine", account=_which, killed=st.booleans()),
    *(_deed("travel", account=_which, session=_back, lift=MOSTLY) for _ in range(2)),
]
# Hypothesis draws evenly from several, and counts one and the same strategy once.
_KILLS = [
    deed
    for _ in range(4)
    for deed in (
        *(_deed("quarantine", account=_which, killed=st.booleans()) for _ in range(4)),
        *(_deed("travel", account=_which, session=_back, lift=MOSTLY) for _ in range(2)),
        _deed("end_all", **_BY_OWNER, kept=MOSTLY),
        _deed("remove_passkey", **_BY_OWNER, passkey=_back, by=st.just(FIRST)),
        _deed("recover", account=_which, code=_codes, used=st.booleans()),
        _deed("cancel", **_BY_OWNER),
        _deed("revoke", account=_which, session=_back, generation=st.just(0)),
    )
]
"""What nothing may be overtaken by unnoticed."""
_DEAR = [
    _deed("set_password", **_BY_OWNER, by=_by, shared=st.sampled_from([False, False, True])),
    _deed("begin", account=_which, known=MOSTLY),
    *(
        _deed(
            "sign_in_by_code",
            account=_which,
            offset=st.sampled_from([-1, 0, 1, 1]),
            first=st.one_of(st.none(), *_KILLS),
        )
        for _ in range(2)
    ),
]
"""What computes Argon2."""
_STARTS = [
    deed
    for _ in range(3)
    for deed in (
        _deed("sign_in", account=_which, passkey=_back),
        _deed("sign_in_by_code", account=_which, offset=st.just(1), first=st.none()),
        _deed(
            "refresh", account=_which, session=_back, generation=st.just(0), own=st.just(value=True)
        ),
    )
]
_OVERTAKE = {"slow": st.one_of(*_STARTS, *_CHEAP, *_DEAR), "fast": st.one_of(*_KILLS, *_CHEAP)}
_PAUSES_S = [1, 1, 29, 31, 121, 299, 301, 899, DAY_S - 1, DAY_S, DAY_S, 8 * DAY_S]
DEEDS = st.one_of(
    *_CHEAP,
    *_DEAR,
    _deed(
        "come",
        account=_which,
        session=_back,
        token=_back,
        route=st.sampled_from(sorted(assurance.DEMANDS)),
    ),
    *(_deed("wait", pause_s=st.sampled_from(_PAUSES_S)) for _ in range(2)),
    *(_deed("lift") for _ in range(3)),
    *(_deed("overtake", **_OVERTAKE) for _ in range(10)),
)
