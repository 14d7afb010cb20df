"""An auditor of the ledger's tables: reads every item and believes none of it.

The layout of the hash is written here a second time, so that neither reading can drift alone.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from portcullis.evidence import receipts
from portcullis.evidence.keys import PublicKey, TrustedKeys
from tests.support import jws
from tests.support.key_service import KeyService
from tests.support.tables import KEYS, Tables

type Item = dict[str, Any]

HOUSE = "house:"
GENESIS = bytes(32)


def items(tables: Tables, name: str) -> list[Item]:
    """Return every item of one table, in the order of its key."""
    pages = tables._own.get_paginator("scan").paginate(
        TableName=getattr(tables, name), ConsistentRead=True
    )
    found = [_plain({"M": raw}) for page in pages for raw in page["Items"]]
    return sorted(found, key=lambda item: [item[key] for key in KEYS[name]])


def dump(tables: Tables) -> dict[str, list[Item]]:
    """Return every item of every table, to see that nothing changed."""
    return {name: items(tables, name) for name in KEYS}


@dataclass(frozen=True)
class Books:
    """What an audit found, once everything agrees.

    Attributes:
        balances: Minor units by owner and currency.
        postings: The posting items, by id.
        entries: The number of entries over all wallets.
        keys: Which posting each idempotency key stands for.
    """

    balances: Mapping[tuple[str, str], int]
    postings: Mapping[str, Item]
    entries: int
    keys: Mapping[tuple[str, str], str]


def audited(tables: Tables, keys: KeyService) -> Books:
    """Return the books of a ledger in which everything agrees with everything.

    Each wallet's chain leads from genesis to its head without a gap, no balance was ever below
    zero but a house's, each entry is a leg of its posting and each leg an entry, each posting
    sums to zero, was ordered under one idempotency key, consumed its own command, and is what
    its receipt says.
    """
    journal = items(tables, "journal")
    chains: dict[str, list[Item]] = defaultdict(list)
    postings: dict[str, Item] = {}
    known: dict[tuple[str, str], str] = {}
    for item in journal:
        kind, _, rest = item["pk"].partition("#")
        match kind:
            case "ENTRIES":
                chains[rest].append(item)
            case "POSTING":
                postings[rest] = item
            case "IDEMPOTENCY":
                known[rest, item["sk"]] = item["posting"]
            case _:
                raise AssertionError(f"an unknown item in the journal: {item['pk']}")
    balances = {}
    legs: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for head in items(tables, "balances"):
        owner, currency = _owner(head), head["sk"]
        chain = chains.pop(f"{owner}#{currency}", [])
        _demand_whole(owner, currency, head, chain)
        balances[owner, currency] = head["balance"]
        for entry in chain:
            legs[entry["posting"]].append((owner, currency, entry["minor"]))
    assert not chains, "entries of a wallet without a head"
    assert sorted(known.values()) == sorted(postings), "one key for each posting"
    for posting_id, posting in postings.items():
        _demand_borne_out(posting_id, posting, legs.pop(posting_id, []), keys)
    assert not legs, "entries of a posting that is not there"
    _demand_used_once(tables, postings)
    return Books(
        balances=balances,
        postings=postings,
        entries=sum(item["pk"].startswith("ENTRIES#") for item in journal),
        keys=known,
    )


def _plain(typed: Mapping[str, Any]) -> Any:
    ((kind, value),) = typed.items()
    match kind:
        case "N":
            return int(value)
        case "L":
            return [_plain(one) for one in value]
        case "M":
            return {name: _plain(one) for name, one in value.items()}
    return value


def _owner(head: Item) -> str:
    kind, _, name = str(head["pk"]).partition("#")
    assert kind in {"WALLET", "HOUSE"}
    return HOUSE + name if kind == "HOUSE" else name


def _demand_whole(owner: str, currency: str, head: Item, chain: list[Item]) -> None:
    previous, balance = GENESIS, 0
    for number, entry in enumerate(chain, start=1):
        balance += entry["minor"]
        assert int(entry["sk"]) == number
        assert entry["balance"] == balance
        assert entry["previous"] == previous
        assert balance >= 0 or owner.startswith(HOUSE), "a wallet below zero"
        assert entry["hash"] == _hash(owner, currency, entry)
        previous = entry["hash"]
    assert (head["version"], head["balance"], head["chain"]) == (len(chain), balance, previous)


def _hash(owner: str, currency: str, entry: Item) -> bytes:
    texts = (
        "portcullis/entry/v1",
        owner,
        currency,
        str(int(entry["sk"])),
        entry["posting"],
        str(entry["minor"]),
        str(entry["balance"]),
    )
    fields = [*(text.encode() for text in texts), entry["previous"]]
    return sha256(b"".join(len(one).to_bytes(4, "big") + one for one in fields)).digest()


def _demand_borne_out(
    posting_id: str, posting: Item, moved: list[tuple[str, str, int]], keys: KeyService
) -> None:
    legs = [(leg["account"], leg["currency"], leg["minor"]) for leg in posting["legs"]]
    assert sorted(legs) == sorted(moved), "legs are entries and entries are legs"
    for currency in {leg[1] for leg in legs}:
        assert sum(leg[2] for leg in legs if leg[1] == currency) == 0
    receipt = receipts.verify(
        posting["receipt"],
        keys=TrustedKeys(PublicKey.of(keys.signing_key("receipt").public_key())),
        expected_meaning=posting["meaning"],
    )
    assert (receipt.posting, receipt.kind, receipt.iat) == (
        posting_id,
        posting["kind"],
        posting["at"],
    )
    assert [(leg.account, leg.currency, leg.minor) for leg in receipt.legs] == legs
    assert receipt.cmd == jws.b64url(sha256(posting["command"].encode()).digest())


def _demand_used_once(tables: Tables, postings: Mapping[str, Item]) -> None:
    used: dict[str, list[str]] = defaultdict(list)
    for item in items(tables, "ledger_once"):
        if not item["pk"].startswith("SECRET#"):
            used[item["posting"]].append(item["pk"].partition("#")[0])
    assert {posting_id: sorted(kinds) for posting_id, kinds in used.items()} == {
        posting_id: _uses(posting) for posting_id, posting in postings.items()
    }


def _uses(posting: Item) -> list[str]:
    if posting["kind"] == "deposit":
        return ["COMMAND"]
    approved = "approval" in jws.claims_of(posting["command"])
    return [*(["APPROVAL"] if approved else []), "COMMAND", "PROOF"]
