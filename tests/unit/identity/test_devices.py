"""What a User-Agent becomes: a name for the owner, a kind for the verdict."""

import itertools
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.identity import devices
from portcullis.identity.devices import DEVICE_CHARS_MAX, UNKNOWN

USER_AGENTS: dict[str, str] = tomllib.loads(Path("tests/vectors/anomaly_cases.toml").read_text())[
    "user_agents"
]

APPLE = "WebKit on Apple"
LINUX = "Blink on Android or Linux"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"

KINDS = {
    APPLE: [
        USER_AGENTS["iphone"],
        USER_AGENTS["iphone-next-major"],
        USER_AGENTS["ipad"],
        USER_AGENTS["ipad-desktop-site"],
        USER_AGENTS["ios-app"],
        f"{IPHONE} {WEBKIT} Mobile/15E148",
        f"{IPHONE} {WEBKIT} CriOS/126.0 Mobile/15E148",
        f"{IPHONE} {WEBKIT} FxiOS/127.0 Mobile/15E148",
        "Wallet/1.0 (com.example.wallet; build:1; iOS 17.5.0) Alamofire/5.9.1",
        "com.example.wallet/1.0 (iPhone; iOS 17.5; Scale/3.00)",
    ],
    LINUX: [
        USER_AGENTS["android"],
        USER_AGENTS["android-desktop-site"],
        f"Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) {BLINK} Version/4.0 Chrome/126.0.6478.71",
        f"Mozilla/5.0 (Linux; Android 14; SM-S921B) {BLINK} SamsungBrowser/25.0 Chrome/121.0.0.0",
        "okhttp/4.12.0",
        "okhttp/5.0.0",
        "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UQ1A.240105.004)",
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/126.0.0.0 Safari/537.36",
    ],
    "Gecko on Android or Linux": [
        "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    ],
    "Blink on Windows": [
        USER_AGENTS["windows-chrome"],
        USER_AGENTS["windows-chrome-updated"],
        f"{WINDOWS}) {BLINK} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
    ],
    "Gecko on Windows": [
        USER_AGENTS["windows-firefox"],
        f"{WINDOWS}; rv:140.0) Gecko/20100101 Firefox/140.0",
    ],
    "Blink on Apple": [
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {BLINK} Chrome/126.0.0.0 Safari/537.36",
    ],
    "Gecko on Apple": [
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:127.0) Gecko/20100101 Firefox/127.0",
    ],
    "Trident on Windows": ["Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko"],
    "curl": ["curl/8.7.1", "curl/7.68.0"],
    "Wget": ["Wget/1.21.4"],
    "Python": ["python-requests/2.32.3", "python-httpx/0.27.0", "Python-urllib/3.13"],
    "Go": ["Go-http-client/2.0"],
    "Java": ["Java/21.0.3", "Java-http-client/21.0.3"],
    "Dart": ["Dart/3.4 (dart:io)"],
    "Postman": ["PostmanRuntime/7.39.0"],
    UNKNOWN: ["", " ", "-", "Mozilla/5.0", "node", "é", "aaaaAlice4929123412341234Bot/2.1"],
}


@pytest.mark.parametrize(
    ("user_agent", "kind"),
    [(user_agent, kind) for kind, every in KINDS.items() for user_agent in every],
)
def test_a_kind_is_its_system_and_engine(user_agent: str, kind: str) -> None:
    """Updates, desktop sites, web views and an app's own requests keep their kind."""
    assert devices.kind(user_agent) == kind


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *itertools.combinations(
            ["windows-chrome", "windows-firefox", "iphone", "android", "curl"], 2
        )
    ],
)
def test_another_device_is_another_kind(one: str, other: str) -> None:
    """Another system, another engine, or no browser at all is a change."""
    assert devices.kind(USER_AGENTS[one]) != devices.kind(USER_AGENTS[other])


SIGNS = [
    sign for signs in (devices._SYSTEMS, devices._ENGINES, devices._CLIENTS) for sign, _ in signs
]


@given(
    st.text(max_size=512) | st.lists(st.sampled_from(SIGNS) | st.text(max_size=20)).map(" ".join)
)
def test_a_kind_is_one_of_a_few(user_agent: str) -> None:
    """Whatever a client calls itself, none of its own words is in what is remembered."""
    assert devices.kind(user_agent) in devices.KINDS


def test_every_kind_is_short_and_they_are_few() -> None:
    """The constants fit into a baseline."""
    assert len(devices.KINDS) < 32
    assert max(map(len, devices.KINDS)) <= DEVICE_CHARS_MAX


@given(st.text(max_size=512))
def test_any_text_has_a_name_of_bounded_length(user_agent: str) -> None:
    """Whatever a client calls itself, its session's owner is shown something."""
    assert 0 < len(devices.device(user_agent)) <= DEVICE_CHARS_MAX


def test_no_kind_asks_the_thousand_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What every judged request passes never compiles ua-parser's patterns."""
    for name in ("parse", "parse_user_agent"):
        monkeypatch.delattr(f"ua_parser.{name}")
    assert devices.kind("aaaaAlice4929123412341234Bot/2.1") == UNKNOWN
    with pytest.raises(AttributeError):
        devices.device("curl/8")


@given(st.integers(1, 999), st.integers(0, 9999))
def test_no_version_is_part_of_a_kind(major: int, minor: int) -> None:
    """Any update of any browser keeps the kind."""
    for user_agent in (
        f"{WINDOWS}) {BLINK} Chrome/{major}.0.{minor}.0 Safari/537.36",
        f"{WINDOWS}) {BLINK} Chrome/{major}.0.{minor}.0 Safari/537.36 Edg/{minor}.0",
    ):
        assert devices.kind(user_agent) == "Blink on Windows"
    assert devices.kind(f"curl/{major}.{minor}") == "curl"
