"""From the outbox to audit trail, bus and owner: late, never lost, in order, once where it counts.

Against DynamoDB Local, and a bucket, a bus and a topic that can fail.
"""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from portcullis import entropy
from portcullis.aws import bucket, bus, clients, dynamodb, topic
from portcullis.aws.bucket import BucketError
from portcullis.aws.bus import BusError
from portcullis.aws.topic import TopicError
from portcullis.errors import InfrastructureError
from portcullis.identity import outbox
from portcullis.identity import tables as zone
from portcullis.identity.outbox import Event
from portcullis.operations import outboxes, publishing, reconciling, segments
from portcullis.operations.publishing import LostEventError
from portcullis.operations.reconciling import BacklogError
from portcullis.operations.segments import SegmentError
from tests.support import bucket_service, bus_service, topic_service
from tests.support.bucket_service import BucketService
from tests.support.bus_service import BusService
from tests.support.functions import handler_at
from tests.support.tables import Tables
from tests.support.topic_service import TopicService

TOPIC = "arn:aws:sns:us-east-1:000000000000:notices"
BUS = "arn:aws:events:us-east-1:000000000000:event-bus/events"
BUCKET = "audit"
NOW_S = 1_700_000_000
LATER_S = NOW_S + 600
TOLD, SILENT = "password-set", "passkey-renamed"
DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
"""Of an account's id, in the order of the table's keys."""

pytestmark = pytest.mark.contract


@dataclass(frozen=True)
class Outside:
    """What the platform tells the world of its events."""

    bucket: BucketService
    bus: BusService
    topic: TopicService

    def segments(self, account: str) -> list[list[int]]:
        """Return the numbers in each object of an account's audit trail, by their keys' order."""
        prefix = f"{BUCKET}/events/{account}/"
        found = sorted(item for item in self.bucket.objects.items() if item[0].startswith(prefix))
        for key, raw in found:
            assert int(key.removeprefix(prefix).removesuffix(".json")) == numbers(raw)[0]
        return [numbers(raw) for _, raw in found]

    def heard(self, account: str) -> list[int]:
        """Return the numbers of an account's events on the bus, as they came first."""
        details = [json.loads(entry["Detail"]) for entry in self.bus.taken]
        found = [one["number"] for one in details if one["account"] == account]
        return list(dict.fromkeys(found))

    def told(self, account: str) -> list[int]:
        """Return the numbers of the notices of an account, as they came first."""
        notices = [json.loads(message) for _, message in self.topic.published]
        found = [one["number"] for one in notices if one["account"] == account]
        return list(dict.fromkeys(found))

    def assert_published(self, tables: Tables, account: str, *, last: int) -> None:
        """Demand that events 1 to *last* are published, and nothing is left to be done."""
        every = list(range(1, last + 1))
        assert list(itertools.chain(*self.segments(account))) == every
        assert self.heard(account) == every
        assert self.told(account) == [one["number"] for one in stored(account) if one["told"]]
        assert notes(tables, account) == []


def numbers(raw: bytes) -> list[int]:
    """Return the numbers of the events in an object."""
    return [one["number"] for one in json.loads(raw)["events"]]


def stored(account: str) -> list[dict[str, Any]]:
    """Return the number of each event in the table, and whether its owner is to hear of it."""
    found = dynamodb.query(
        zone.identity(), f"EVENT#{account}", newest_first=False, before_sk=None, limit=1_000
    )
    return [{"number": int(one["sk"]), "told": one["kind"] != SILENT} for one in found]


def notes(tables: Tables, account: str) -> list[str]:
    """Return the keys of what is pending of an account, wherever it lies."""
    page = tables.call("scan", TableName=tables.identity, ConsistentRead=True)
    keys = [(item["pk"]["S"], item["sk"]["S"]) for item in page["Items"]]
    return [sk for pk, sk in keys if pk.startswith("PENDING#") and sk.startswith(f"{account}#")]


def opened(*kinds: str) -> str:
    """Return a new account whose outbox holds its opening, and then these kinds."""
    account = entropy.new_id()
    dynamodb.execute(*outbox.opened(account, kind="account-opened", at_s=NOW_S))
    for kind in kinds:
        happen(account, kind)
    return account


def happen(account: str, *kinds: str) -> None:
    """Write events into an account's outbox, all in one transaction."""
    head = dynamodb.get(zone.identity(), zone.outbox_key(account))
    found = [Event(kind, {"sid": "S1"}) for kind in kinds]
    dynamodb.execute(*outbox.numbered(account, *found, after=outbox.last(head), at_s=NOW_S))


@pytest.fixture
def outside(product: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """Bucket, bus and topic, for one test alone."""
    assert product
    with (
        bucket_service.running() as objects,
        bus_service.running() as events,
        topic_service.running() as notices,
    ):
        for name, value in {
            "AWS_ENDPOINT_URL_S3": objects.endpoint,
            "AWS_ENDPOINT_URL_EVENTBRIDGE": events.endpoint,
            "AWS_ENDPOINT_URL_SNS": notices.endpoint,
            "AUDIT_BUCKET": BUCKET,
            "EVENT_BUS": BUS,
            "NOTICES_TOPIC": TOPIC,
        }.items():
            monkeypatch.setenv(name, value)
        for pause in (bucket, bus):
            monkeypatch.setattr(pause, "PAUSE_S", 0.0)
        yield Outside(objects, events, notices)
        for service in ("s3", "events", "sns"):
            clients.client(service).close()


def test_an_event_is_published_to_all_who_hear(tables: Tables, outside: Outside) -> None:
    """One body in the audit trail and on the bus, and a notice for the owner."""
    account = opened()
    publishing.publish(account)
    outside.assert_published(tables, account, last=1)
    body = {
        "version": 1,
        "account": account,
        "number": 1,
        "kind": "account-opened",
        "at": "2023-11-14T22:13:20Z",
        "facts": {},
    }
    (raw,) = outside.bucket.objects.values()
    assert json.loads(raw) == {"version": 1, "account": account, "events": [body]}
    (entry,) = outside.bus.taken
    assert json.loads(entry["Detail"]) == body
    assert (entry["Source"], entry["DetailType"]) == ("portcullis", "account-opened")
    assert entry["EventBusName"] == BUS
    assert [where for where, _ in outside.topic.published] == [TOPIC]


def test_facts_are_published_and_the_table_s_own_attributes_are_not(outside: Outside) -> None:
    """What the event says, no key and no expiry."""
    account = opened(TOLD)
    publishing.publish(account)
    assert json.loads(outside.bus.taken[1]["Detail"])["facts"] == {"sid": "S1"}


def test_a_silent_event_makes_no_notice(outside: Outside) -> None:
    """An event that its owner need not hear of is in the trail and on the bus alone."""
    account = opened(SILENT)
    publishing.publish(account)
    assert outside.segments(account) == [[1, 2]]
    assert outside.told(account) == [1]


def test_a_second_publication_tells_nothing_again(tables: Tables, outside: Outside) -> None:
    """In peace nothing is told twice, not even at least once."""
    account = opened(TOLD)
    for _ in range(2):
        publishing.publish(account)
    happen(account, TOLD)
    publishing.publish(account)
    assert outside.segments(account) == [[1, 2], [3]]
    assert len(outside.bus.taken) == len(outside.topic.published) == 3
    outside.assert_published(tables, account, last=3)


def test_an_account_without_events_is_nothing_to_publish(outside: Outside) -> None:
    """A note that outlived its account's outbox writes nothing."""
    publishing.publish(entropy.new_id())
    assert outside.bucket.objects == {}


def test_a_long_outbox_is_cut_into_segments(tables: Tables, outside: Outside) -> None:
    """However many events there are, an object holds fifty at most."""
    account = opened()
    for _ in range(6):
        happen(account, *[SILENT] * 20)
    publishing.publish(account)
    assert [len(one) for one in outside.segments(account)] == [50, 50, 21]
    outside.assert_published(tables, account, last=121)


def test_the_stream_s_record_publishes_its_account(tables: Tables, outside: Outside) -> None:
    """The key of a note is all that the function needs."""
    account = opened()
    key = zone.pending_key(account, 1)
    change = {
        "Keys": {name: {"S": value} for name, value in key.items()},
        "SequenceNumber": "1",
    }
    handler = handler_at("functions/operations/publish/handler.py")
    answer = handler({"Records": [{"dynamodb": change}]}, None)
    assert answer == {"batchItemFailures": []}
    outside.assert_published(tables, account, last=1)


def test_a_lost_stream_loses_nothing(tables: Tables, outside: Outside) -> None:
    """Where nothing was ever called, the reconciler alone delivers everything of everybody."""
    accounts = [opened(*[TOLD, SILENT] * 3) for _ in range(20)]
    reconciling.reconcile(now_s=LATER_S)
    for account in accounts:
        outside.assert_published(tables, account, last=7)


def test_the_reconciler_leaves_the_young_to_the_stream(outside: Outside) -> None:
    """What was written within two minutes is not overdue."""
    account = opened()
    reconciling.reconcile(now_s=NOW_S + reconciling.OVERDUE_S - 1)
    assert outside.bucket.objects == {}
    reconciling.reconcile(now_s=NOW_S + reconciling.OVERDUE_S)
    assert outside.segments(account) == [[1]]


def test_an_account_that_fails_holds_up_no_other(tables: Tables, outside: Outside) -> None:
    """The reconciler publishes the others, and then says that it failed."""
    accounts = [opened() for _ in range(5)]
    bad = accounts[2]
    outside.bus.refusing = lambda entry: json.loads(entry["Detail"])["account"] == bad
    with pytest.raises(BacklogError):
        reconciling.reconcile(now_s=LATER_S)
    for account in set(accounts) - {bad}:
        outside.assert_published(tables, account, last=1)
    outside.bus.refusing = lambda _: False
    reconciling.reconcile(now_s=LATER_S)
    outside.assert_published(tables, bad, last=1)


def test_many_that_fail_do_not_hide_others(
    tables: Tables, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more stuck notes than one run lists, others are still found within a few runs."""
    monkeypatch.setattr(reconciling, "NOTES_MAX", 1)
    monkeypatch.setattr(outboxes, "SHARDS", 1)
    monkeypatch.setattr(zone, "PENDING_SHARDS", 1)
    accounts = sorted(opened() for _ in range(6))
    # A listing begins at a random place and sees the next note: this one is next for a sixth of
    # all places at least, so a hundred listings miss it once in eighty million.
    _, good = max(
        itertools.pairwise([accounts[-1], *accounts]),
        key=lambda pair: (_place(pair[1]) - _place(pair[0])) % len(DIGITS) ** 4,
    )
    outside.bus.refusing = lambda entry: json.loads(entry["Detail"])["account"] != good
    for _ in range(100):
        with suppress(BacklogError):  # unless nothing but the good one was listed
            reconciling.reconcile(now_s=LATER_S)
        if outside.heard(good) == [1]:
            break
    assert outside.segments(good) == [[1]]
    assert tables


def _place(account: str) -> int:
    """Return where an account stands among all, by its first four digits."""
    place = 0
    for digit in account[:4]:
        place = place * len(DIGITS) + DIGITS.index(digit)
    return place


def test_refused_entries_are_sent_again(tables: Tables, outside: Outside) -> None:
    """A bus that takes some of a request gets the others again, and each of them once."""
    seen: set[int] = set()

    def refusing(entry: Any) -> bool:
        number = json.loads(entry["Detail"])["number"]
        first = number % 2 == 0 and number not in seen
        seen.add(number)
        return first

    account = opened(*[SILENT] * 14)
    outside.bus.refusing = refusing
    publishing.publish(account)
    assert len(outside.bus.taken) == 15
    outside.bus.taken.sort(key=lambda entry: int(json.loads(entry["Detail"])["number"]))
    outside.assert_published(tables, account, last=15)


def test_a_bus_that_refuses_one_entry_for_good_is_a_failure(
    tables: Tables, outside: Outside
) -> None:
    """It is asked a bounded number of times; the events stay pending, and are in the trail."""
    account = opened(TOLD)
    outside.bus.refusing = lambda entry: json.loads(entry["Detail"])["number"] == 2
    with pytest.raises(BusError, match="ThrottlingException"):
        publishing.publish(account)
    assert outside.bus.requests == bus.ROUNDS_MAX
    assert outside.segments(account) == [[1, 2]]
    assert notes(tables, account) != []
    outside.bus.refusing = lambda _: False
    publishing.publish(account)
    outside.assert_published(tables, account, last=2)


@pytest.mark.parametrize(
    ("service", "failure"), [("bucket", BucketError), ("bus", BusError), ("topic", TopicError)]
)
def test_what_is_down_is_told_later(
    tables: Tables, outside: Outside, service: str, failure: type[InfrastructureError]
) -> None:
    """While one of them does not answer, events stay pending; then everything arrives."""
    account = opened(TOLD, SILENT)
    getattr(outside, service).failing = True
    with pytest.raises(failure):
        publishing.publish(account)
    assert outboxes.progress(account).published == 0
    assert len(notes(tables, account)) == 3
    getattr(outside, service).failing = False
    publishing.publish(account)
    outside.assert_published(tables, account, last=3)


def test_a_write_whose_answer_is_lost_is_written_once(tables: Tables, outside: Outside) -> None:
    """The SDK's own second try, and the next publication, find the object and go on behind it."""
    account = opened(TOLD)
    outside.bucket.losing = True
    publishing.publish(account)
    assert outside.segments(account) == [[1, 2]]
    outside.assert_published(tables, account, last=2)


def test_a_write_at_the_same_moment_is_asked_again(tables: Tables, outside: Outside) -> None:
    """S3 says 409 while another conditional write is on its way: who won is known after it."""
    account = opened()
    outside.bucket.conflicts = 2
    publishing.publish(account)
    outside.assert_published(tables, account, last=1)


def test_endless_conflicts_are_a_failure(outside: Outside) -> None:
    """A bucket that never decides is asked a bounded number of times."""
    account = opened()
    outside.bucket.conflicts = 1_000
    with pytest.raises(BucketError, match="ConditionalRequestConflict"):
        publishing.publish(account)
    assert outside.bucket.conflicts >= 1_000 - bucket.ROUNDS_MAX * clients.ATTEMPTS_MAX
    assert outside.bucket.objects == {}


def test_a_lost_cursor_is_found_again(tables: Tables, outside: Outside) -> None:
    """Without it the trail is walked, with the table's events as far as they have not expired."""
    account = opened(*[SILENT] * 3)
    publishing.publish(account)
    happen(account, SILENT)
    publishing.publish(account)
    happen(account, TOLD)
    remove(tables, f"PUBLISHED#{account}", "PUBLISHED")
    for number in (1, 2):
        remove(tables, f"EVENT#{account}", f"{number:012d}")
    publishing.publish(account)
    assert outside.segments(account) == [[1, 2, 3, 4], [5], [6]]
    assert outboxes.progress(account).published == 6


def test_an_event_that_expired_unpublished_is_an_alarm(tables: Tables, outside: Outside) -> None:
    """What is nowhere any more is never passed over in silence."""
    account = opened(TOLD, TOLD)
    remove(tables, f"EVENT#{account}", f"{1:012d}")
    with pytest.raises(LostEventError):
        publishing.publish(account)
    assert outside.bucket.objects == {}
    assert len(notes(tables, account)) == 3


def test_a_gap_ends_a_segment(tables: Tables, outside: Outside) -> None:
    """Events before a missing one are published; those behind it wait for it."""
    account = opened(TOLD, TOLD)
    remove(tables, f"EVENT#{account}", f"{2:012d}")
    with pytest.raises(LostEventError):
        publishing.publish(account)
    assert outside.segments(account) == [[1]]


BODY = {
    "version": 1,
    "account": "ACCOUNT",
    "number": 1,
    "kind": "k",
    "at": "2023-11-14T22:13:20Z",
    "facts": {},
}


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "[]",
        json.dumps({"events": []}),
        json.dumps({"events": [{"version": 1}]}),
        json.dumps({"events": [{**BODY, "account": "other"}]}),
        json.dumps({"events": [{**BODY, "version": 2}]}),
        json.dumps({"events": [{**BODY, "number": 2}]}),
        json.dumps({"events": [BODY, BODY]}),
        json.dumps({"events": [BODY, {**BODY, "number": 3}]}),
        json.dumps({"events": [{**BODY, "at": "yesterday"}]}),
    ],
)
def test_a_foreign_object_in_the_trail_stops_its_account(
    tables: Tables, outside: Outside, forged: str
) -> None:
    """An object that is no segment of this account is neither believed nor overwritten."""
    account = opened()
    key = f"{BUCKET}/{segments.key_of(account, 1)}"
    planted = forged.replace("ACCOUNT", account).encode()
    outside.bucket.objects[key] = planted
    with pytest.raises(SegmentError):
        publishing.publish(account)
    assert outside.bucket.objects == {key: planted}
    assert outside.bus.taken == []
    assert notes(tables, account) != []


def test_the_bucket_takes_no_unconditional_write(outside: Outside) -> None:
    """The port's every write is conditional: the bucket of these tests refuses any other."""
    bucket.create(BUCKET, "k", b"first")
    with pytest.raises(bucket.ObjectExistsError):
        bucket.create(BUCKET, "k", b"second")
    assert bucket.read(BUCKET, "k") == b"first"
    assert outside.bucket.put(f"{BUCKET}/other", None, b"")[0] == 403


def test_an_object_that_is_too_large_is_not_read(outside: Outside) -> None:
    """Nobody fills the function's memory through the bucket."""
    outside.bucket.objects[f"{BUCKET}/k"] = b" " * (bucket.OBJECT_BYTES_MAX + 1)
    with pytest.raises(BucketError, match="too large"):
        bucket.read(BUCKET, "k")


class Killed(BaseException):
    """The environment ends here: nothing of the function's own runs any more."""


class Mortal:
    """AWS clients whose *at*-th call, of all services together, is the last one."""

    def __init__(self, *, at: int, done: bool) -> None:
        self.calls = 0
        self._at, self._done = at, done
        self._real = clients._client

    def __call__(self, service: Any) -> Any:
        return _Client(self, self._real(service))

    def call(self, real: Callable[..., Any], **arguments: Any) -> Any:
        """Do one call, or end before it, or after it."""
        self.calls += 1
        if self.calls == self._at and not self._done:
            raise Killed
        try:
            return real(**arguments)
        finally:
            if self.calls == self._at:
                raise Killed


class _Client:
    def __init__(self, mortal: Mortal, real: Any) -> None:
        self._mortal, self._real = mortal, real

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(self._real, name)
        return lambda **arguments: self._mortal.call(real, **arguments)


@pytest.mark.parametrize("done", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("again", ["publish", "reconcile"])
def test_a_publisher_may_end_anywhere(
    tables: Tables, outside: Outside, monkeypatch: pytest.MonkeyPatch, again: str, *, done: bool
) -> None:
    """Killed at any call to AWS, whoever comes next completes it: one object each, none missing."""
    monkeypatch.setattr(segments, "EVENTS_MAX", 2)
    for at in itertools.count(1):
        account = opened(TOLD, SILENT)
        with monkeypatch.context() as patch:
            patch.setattr(clients, "_client", mortal := Mortal(at=at, done=done))
            try:
                publishing.publish(account)
            except Killed:
                ended = True
            else:
                ended = False
        if again == "publish":
            publishing.publish(account)
        else:
            reconciling.reconcile(now_s=LATER_S)
        outside.assert_published(tables, account, last=3)
        assert outside.segments(account) == [[1, 2], [3]]
        if not ended:
            assert mortal.calls == at - 1
            break
    assert at > 10


def test_publishers_and_reconciler_race_for_one_account(
    tables: Tables, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While 200 events are written, two publishers and the reconciler go on at once, at random.

    Every event arrives, in order; none is in two objects and none between two; nothing is left.
    """
    monkeypatch.setattr(segments, "EVENTS_MAX", 7)
    monkeypatch.setattr(publishing, "SEGMENTS_MAX", 201)
    account, written = opened(), threading.Event()

    def write() -> None:
        try:
            for size in itertools.islice(itertools.cycle((1, 5, 2, 3, 9)), 50):
                happen(account, *[SILENT] * size)
        finally:
            written.set()

    def repeat(work: Callable[[], None]) -> None:
        while not written.is_set():
            work()

    with ThreadPoolExecutor(4) as pool:
        outcomes = [
            pool.submit(write),
            pool.submit(repeat, lambda: publishing.publish(account)),
            pool.submit(repeat, lambda: publishing.publish(account)),
            pool.submit(repeat, lambda: reconciling.reconcile(now_s=LATER_S)),
        ]
    for outcome in outcomes:
        outcome.result()
    reconciling.reconcile(now_s=LATER_S)
    outside.assert_published(tables, account, last=201)
    assert len(outside.segments(account)) > 201 // 7


@pytest.mark.parametrize("lanes", [4])
def test_cursors_move_forward_alone(tables: Tables, outside: Outside, lanes: int) -> None:
    """Whoever is late with a lower number moves nothing back."""
    assert outside
    account = opened()
    with ThreadPoolExecutor(lanes) as pool:
        for _ in range(5):
            list(pool.map(lambda to: outboxes.advance(account, to=to), (3, 9, 1, 7)))
    assert outboxes.progress(account).published == 9
    outboxes.advance(account, to=4)
    assert outboxes.progress(account).published == 9
    assert tables


@pytest.mark.parametrize("account", ["LOCKDOWN", "je3s6orgs6yk55hkzgb5z77jra"])
def test_both_zones_spell_the_same_keys(account: str) -> None:
    """What one writes is where the other looks for it."""
    key = zone.pending_key(account, 3)
    assert key["pk"] == f"PENDING#{outboxes.shard_of(account):02d}"
    assert outboxes.account_of(key) == account
    assert zone.PENDING_SHARDS == outboxes.SHARDS


def test_the_topic_takes_what_the_owner_must_hear(outside: Outside) -> None:
    """The port raises when the topic does not answer."""
    outside.topic.failing = True
    with pytest.raises(TopicError, match="InternalError"):
        topic.publish(TOPIC, "{}")


def remove(tables: Tables, pk: str, sk: str) -> None:
    """Remove an item, as expiry or a restored table does."""
    tables.call("delete_item", TableName=tables.identity, Key={"pk": {"S": pk}, "sk": {"S": sk}})
