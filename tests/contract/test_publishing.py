"""From the outbox to audit trail, bus and owner: late, never lost, once and in order in the trail.

Against DynamoDB Local, and a bucket, a bus and a topic that can fail.
"""

import itertools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
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
from portcullis.operations.events import UnreadableEventError
from portcullis.operations.outboxes import UnreadableNoteError
from portcullis.operations.publishing import LostEventError, MarkError
from portcullis.operations.reconciling import BacklogError
from portcullis.operations.segments import SegmentError
from tests.support import bucket_service, bus_service, topic_service
from tests.support.bucket_service import BucketService
from tests.support.bus_service import BusService
from tests.support.functions import handler_at
from tests.support.tables import Tables
from tests.support.topic_service import TopicService
from tests.unit.conftest import Written

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
        """Return the numbers of an account's events on the bus, sorted: it promises no order."""
        details = [json.loads(entry["Detail"]) for entry in self.bus.taken]
        return sorted({one["number"] for one in details if one["account"] == account})

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


def reconcile(*, now_s: int, remaining_s: Callable[[], float] = lambda: 240.0) -> None:
    """Run the reconciler, which has all the time it may take."""
    reconciling.reconcile(now_s=now_s, remaining_s=remaining_s)


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
    reconcile(now_s=LATER_S)
    for account in accounts:
        outside.assert_published(tables, account, last=7)


def test_the_reconciler_leaves_the_young_to_the_stream(outside: Outside) -> None:
    """What was written within two minutes is not overdue."""
    account = opened()
    reconcile(now_s=NOW_S + reconciling.OVERDUE_S - 1)
    assert outside.bucket.objects == {}
    reconcile(now_s=NOW_S + reconciling.OVERDUE_S)
    assert outside.segments(account) == [[1]]


def test_an_account_that_fails_holds_up_no_other(tables: Tables, outside: Outside) -> None:
    """The reconciler publishes the others, and then says that it failed."""
    accounts = [opened() for _ in range(5)]
    bad = accounts[2]
    outside.bus.refusing = lambda entry: json.loads(entry["Detail"])["account"] == bad
    with pytest.raises(BacklogError):
        reconcile(now_s=LATER_S)
    for account in set(accounts) - {bad}:
        outside.assert_published(tables, account, last=1)
    outside.bus.refusing = lambda _: False
    reconcile(now_s=LATER_S)
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
            reconcile(now_s=LATER_S)
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
    assert outboxes.progress(account).segment == 0
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
    assert outboxes.progress(account).segment == 6


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
    "kind": "account-opened",
    "at": "2023-11-14T22:13:20Z",
    "facts": {},
}
DOCUMENT = {"version": 1, "account": "ACCOUNT", "events": [BODY]}


def test_the_true_object_of_somebody_else_is_gone_on_behind(
    tables: Tables, outside: Outside
) -> None:
    """An object that tells what the table tells is as good as one's own: its events are told."""
    account = opened()
    written = json.dumps(DOCUMENT).replace("ACCOUNT", account).encode()
    outside.bucket.objects[f"{BUCKET}/{segments.key_of(account, 1)}"] = written
    happen(account, TOLD)
    publishing.publish(account)
    assert outside.segments(account) == [[1], [2]]
    outside.assert_published(tables, account, last=2)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "[]",
        "[" * 100_000,
        json.dumps({**DOCUMENT, "events": []}),
        json.dumps({**DOCUMENT, "events": [5]}),
        json.dumps({**DOCUMENT, "events": [{"version": 1}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "account": "other"}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "version": 2}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "version": True}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "number": 2}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "number": 1.0}]}),
        json.dumps({**DOCUMENT, "events": [BODY, BODY]}),
        json.dumps({**DOCUMENT, "events": [BODY, {**BODY, "number": 3}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "at": "yesterday"}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "at": 5}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "facts": 5}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "kind": 5}]}),
        json.dumps({**DOCUMENT, "events": [{**BODY, "more": 5}]}),
        json.dumps({**DOCUMENT, "account": "other"}),
        json.dumps({**DOCUMENT, "version": 2}),
        json.dumps({**DOCUMENT, "more": 1}),
        json.dumps({"events": [BODY]}),
        json.dumps(DOCUMENT).replace('"facts": {}', '"facts": {"a": NaN}'),
        json.dumps(DOCUMENT).replace('"facts": {}', '"facts": {"a": 1, "a": 2}'),
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


def plant(outside: Outside, account: str, *bodies: dict[str, Any]) -> None:
    """Write an object of these events ahead of the trail, as a thief of a publisher can."""
    document = {"version": 1, "account": account, "events": bodies}
    key = f"{BUCKET}/{segments.key_of(account, bodies[0]['number'])}"
    outside.bucket.objects[key] = json.dumps(document).encode()


def invented(account: str, *numbers: int, **change: Any) -> list[dict[str, Any]]:
    """Return bodies of events that did not happen."""
    return [
        {**BODY, "account": account, "number": number, "kind": SILENT, **change}
        for number in numbers
    ]


def assert_still(tables: Tables, outside: Outside, account: str, *, told: int) -> None:
    """Demand that an account's path stands still: no more than *told* is told, notes are kept."""
    heard, before = outside.heard(account), notes(tables, account)
    assert heard == list(range(1, told + 1))
    assert before != []
    with pytest.raises(BacklogError):
        reconcile(now_s=LATER_S)
    assert outside.heard(account) == heard
    assert notes(tables, account) == before


@pytest.mark.parametrize(
    ("numbers_", "change"),
    [
        (range(3, 53), {}),  # as many as fit, one of which happened
        (range(3, 54), {}),  # and one more
        ([3], {}),  # another kind of event
        ([3], {"kind": "account-quarantined", "facts": {"sid": "S2"}}),  # another fact
        ([3], {"kind": "account-quarantined", "facts": {"sid": "S1", "n": 1}}),  # a fact more
        ([3], {"kind": "account-quarantined", "facts": {}}),  # a fact less
        (
            [3],
            {"kind": "account-quarantined", "facts": {"sid": "S1"}, "at": "2023-11-14T22:13:21Z"},
        ),
        ([3, 4], {"kind": "account-quarantined", "facts": {"sid": "S1"}}),  # a true one, and more
    ],
)
def test_an_object_of_invented_events_is_not_believed(
    tables: Tables, outside: Outside, numbers_: Iterable[int], change: dict[str, Any]
) -> None:
    """Who writes ahead of a trail stops it under an alarm, and hides and invents nothing."""
    account = opened(TOLD)
    publishing.publish(account)
    plant(outside, account, *invented(account, *numbers_, **change))
    happen(account, "account-quarantined")
    with pytest.raises(SegmentError):
        publishing.publish(account)
    assert outboxes.progress(account).segment == 1
    assert_still(tables, outside, account, told=2)


def test_numbers_that_are_used_again_are_noticed(tables: Tables, outside: Outside) -> None:
    """After a table was restored to an earlier moment, the trail's later events are not its own."""
    account = opened(TOLD, TOLD, TOLD)
    publishing.publish(account)
    set_number(tables, f"OUTBOX#{account}", "HEAD", "last", 1)
    remove(tables, f"PUBLISHED#{account}", "PUBLISHED")
    for number in (2, 3, 4):
        remove(tables, f"EVENT#{account}", f"{number:012d}")
    happen(account, "account-quarantined")
    with pytest.raises(SegmentError):
        publishing.publish(account)
    happen(account, TOLD, TOLD)
    with pytest.raises(SegmentError):
        publishing.publish(account)
    assert_still(tables, outside, account, told=4)


@pytest.mark.parametrize("to", [2, 3, 4, 10**11])
def test_a_mark_that_names_no_object_silences_nobody(
    tables: Tables, outside: Outside, to: int
) -> None:
    """Who moves a mark forward stops the account under an alarm; no note is taken out."""
    account = opened(TOLD)
    publishing.publish(account)
    outboxes.advance(account, to=to)
    happen(account, "account-quarantined")
    with pytest.raises(MarkError):
        publishing.publish(account)
    assert_still(tables, outside, account, told=2)


@pytest.mark.parametrize("kind", [SILENT, TOLD])
def test_a_mark_on_an_invented_object_silences_nobody(
    tables: Tables, outside: Outside, kind: str
) -> None:
    """What the mark names is compared with the table, like any object of somebody else."""
    account = opened(TOLD)
    publishing.publish(account)
    plant(outside, account, *invented(account, 3, kind=kind))
    outboxes.advance(account, to=3)
    happen(account, "account-quarantined")
    with pytest.raises(SegmentError):
        publishing.publish(account)
    assert_still(tables, outside, account, told=2)


def test_a_publisher_that_read_early_believes_what_happened_since(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark and an object beyond the head that was read are true if the head is there by now."""
    account = opened()
    early = outboxes.progress(account)
    happen(account, TOLD)
    publishing.publish(account)
    late = outboxes.progress(account)
    for stale in (early, replace(early, segment=late.segment)):
        with monkeypatch.context() as patch:
            patch.setattr(outboxes, "progress", lambda _, seen=stale: seen)
            publishing.publish(account)
    assert outside.segments(account) == [[1, 2]]


def test_what_an_administrator_gave_up_is_passed_over(tables: Tables, outside: Outside) -> None:
    """Behind lost events the path goes on, and the trail shows the gap."""
    account = opened(TOLD, TOLD, TOLD)
    for number in (2, 3):
        remove(tables, f"EVENT#{account}", f"{number:012d}")
    with pytest.raises(LostEventError):
        publishing.publish(account)
    set_number(tables, f"GAP#{account}", "GAP", "last", 3)
    publishing.publish(account)
    assert outside.segments(account) == [[1], [4]]
    assert notes(tables, account) == []
    happen(account, TOLD)
    publishing.publish(account)
    assert outside.segments(account) == [[1], [4], [5]]
    assert outside.heard(account) == [1, 4, 5]


def test_behind_an_invented_object_a_path_goes_on_with_new_numbers(
    tables: Tables, outside: Outside
) -> None:
    """An administrator raises the head past what was invented and gives up what is below."""
    account = opened()
    publishing.publish(account)
    plant(outside, account, *invented(account, *range(2, 30)))
    outboxes.advance(account, to=2)
    happen(account, TOLD)
    set_number(tables, f"OUTBOX#{account}", "HEAD", "last", 1_000)
    set_number(tables, f"GAP#{account}", "GAP", "last", 1_000)
    happen(account, TOLD)
    publishing.publish(account)
    assert outside.heard(account) == [1, 1_001]
    assert notes(tables, account) == []


def test_more_is_not_given_up_than_happened(tables: Tables, outside: Outside) -> None:
    """An administrator's slip silences nobody: it stops the account under an alarm."""
    account = opened()
    set_number(tables, f"GAP#{account}", "GAP", "last", 2)
    with pytest.raises(MarkError):
        publishing.publish(account)
    assert_still(tables, outside, account, told=0)


ODD_EVENTS: dict[str, dict[str, Any]] = {
    "without a kind": {"at": NOW_S},
    "without a time": {"kind": TOLD},
    "a kind that is a number": {"kind": 5, "at": NOW_S},
    "a kind in somebody's words": {"kind": "Hello, World", "at": NOW_S},
    "a time beyond the calendar": {"kind": TOLD, "at": 10**18},
    "a time in text": {"kind": TOLD, "at": "yesterday"},
    "bytes": {"kind": TOLD, "at": NOW_S, "sid": b"S1"},
    "bytes within": {"kind": TOLD, "at": NOW_S, "sid": {"a": [b"S1"]}},
}


@pytest.mark.parametrize("odd", ODD_EVENTS)
def test_an_odd_event_stops_its_account_alone(
    tables: Tables, outside: Outside, written: Written, odd: str
) -> None:
    """Everybody else is published in the same run, and the log says whose path stands still."""
    accounts = sorted((opened() for _ in range(12)), key=outboxes.shard_of)
    bad = accounts[0]
    dynamodb.execute(
        dynamodb.insert(zone.identity(), {**zone.event_key(bad, 2), **ODD_EVENTS[odd]}),
        dynamodb.change(
            zone.identity(), zone.outbox_key(bad), {"last": 2}, where='"last" = ?', given=(1,)
        ),
    )
    with pytest.raises(UnreadableEventError):
        publishing.publish(bad)
    with pytest.raises(BacklogError):
        reconcile(now_s=LATER_S)
    for account in accounts[1:]:
        outside.assert_published(tables, account, last=1)
    assert outside.segments(bad) == []
    assert notes(tables, bad) != []
    (line,) = alarms(written, "account-not-published")
    assert line["account"] == bad
    assert (line["exception"], line["code"]) == ("UnreadableEventError", "unreadable event")


def test_a_defect_of_ours_stops_its_account_alone(
    tables: Tables,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    written: Written,
) -> None:
    """Whatever is raised for one account, the others are published, and its text is not logged."""
    accounts = [opened() for _ in range(4)]
    bad, publish = accounts[1], publishing.publish

    def fail(account: str) -> None:
        if account == bad:
            raise ValueError("s3cr3t")
        publish(account)

    monkeypatch.setattr(publishing, "publish", fail)
    with pytest.raises(BacklogError):
        reconcile(now_s=LATER_S)
    for account in set(accounts) - {bad}:
        outside.assert_published(tables, account, last=1)
    (line,) = alarms(written, "account-not-published")
    assert (line["account"], line["exception"]) == (bad, "ValueError")
    assert "s3cr3t" not in json.dumps(line)


AT = {"at": {"N": str(NOW_S)}}
ODD_NOTES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "no time": lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk}},
    "a fraction": lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk}, "at": {"N": "1.5"}},
    "a power": lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk}, "at": {"N": "-1E-100"}},
    "a time in text": lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk}, "at": {"S": "1"}},
    "a truth as time": lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk}, "at": {"BOOL": True}},
    "another shard": lambda pk, sk: {
        "pk": {"S": "PENDING#00" if pk != "PENDING#00" else "PENDING#01"},
        "sk": {"S": sk},
        **AT,
    },
    "no number": lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk.partition("#")[0]}, **AT},
    "more": lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": f"{sk}x"}, **AT},
    "no account": lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk.upper()}, **AT},
}


def odd_note(odd: str, account: str) -> dict[str, Any]:
    """Return an item beside an account's notes, as DynamoDB writes it, that is none."""
    key = zone.pending_key(account, 2)
    return ODD_NOTES[odd](key["pk"], key["sk"])


@pytest.mark.parametrize("odd", ODD_NOTES)
def test_an_odd_note_is_an_alarm_and_stops_nobody(
    tables: Tables, outside: Outside, written: Written, odd: str
) -> None:
    """All accounts are published, its own too; it is left for somebody to look at."""
    accounts = [opened() for _ in range(4)]
    tables.call("put_item", TableName=tables.identity, Item=odd_note(odd, accounts[0]))
    reconcile(now_s=LATER_S)
    assert all(outside.segments(account) == [[1]] for account in accounts)
    assert len(alarms(written, "note-unreadable")) == 1


@pytest.mark.parametrize("odd", ["another shard", "no number", "more", "no account"])
def test_the_stream_s_record_of_an_odd_key_is_a_failure(odd: str) -> None:
    """It ends among the records that were retried in vain, where somebody looks."""
    item = odd_note(odd, entropy.new_id())
    with pytest.raises(UnreadableNoteError):
        outboxes.account_of({name: item[name]["S"] for name in ("pk", "sk")})


def alarms(written: Written, code: str) -> list[dict[str, Any]]:
    """Return the lines of this alarm that were logged since the last look."""
    return [line for line in written.entries() if line.get("message") == code]


def test_the_stuck_do_not_starve_those_behind_them(
    tables: Tables, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more stuck accounts than one run tries, in the first shards, the others get through."""
    monkeypatch.setattr(reconciling, "ACCOUNTS_MAX", 2)
    accounts = sorted((opened() for _ in range(12)), key=outboxes.shard_of)
    stuck, good = set(accounts[:4]), accounts[4:]
    outside.bus.refusing = lambda entry: json.loads(entry["Detail"])["account"] in stuck
    # Each run tries one that is not stuck with one chance in three at least: 100 runs fail to
    # reach all eight once in ten million.
    for _ in range(100):
        with suppress(BacklogError):
            reconcile(now_s=LATER_S)
        if all(outside.heard(account) for account in good):
            break
    for account in good:
        outside.assert_published(tables, account, last=1)


def test_a_run_ends_before_its_time_does(outside: Outside, written: Written) -> None:
    """With too little time left no account is begun, and how many were left is a metric."""
    accounts = [opened() for _ in range(5)]
    left = iter([240.0, float(reconciling.ACCOUNT_S_MAX), reconciling.ACCOUNT_S_MAX - 0.001])
    reconcile(now_s=LATER_S, remaining_s=lambda: next(left))
    assert sum(outside.segments(account) == [[1]] for account in accounts) == 2
    lines = written.entries()
    assert [one["events-overdue"] for one in lines if "events-overdue" in one] == [[5.0]]
    assert [one["events-left"] for one in lines if "events-left" in one] == [[3.0]]


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
            reconcile(now_s=LATER_S)
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

    Every event arrives; none is in two objects and none between two; nothing is left.
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
            pool.submit(repeat, lambda: reconcile(now_s=LATER_S)),
        ]
    for outcome in outcomes:
        outcome.result()
    reconcile(now_s=LATER_S)
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
    assert outboxes.progress(account).segment == 9
    outboxes.advance(account, to=4)
    assert outboxes.progress(account).segment == 9
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


def set_number(tables: Tables, pk: str, sk: str, name: str, number: int) -> None:
    """Write an item of one number, as an administrator or a restoration does."""
    tables.call(
        "put_item",
        TableName=tables.identity,
        Item={"pk": {"S": pk}, "sk": {"S": sk}, name: {"N": str(number)}},
    )
