"""Amounts: one spelling for each value of each currency, and no other value at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from portcullis.amounts import AMOUNT_MINOR_MAX, EXPONENTS, Amount, wire

currencies = st.sampled_from(sorted(EXPONENTS))
minors = st.integers(min_value=1, max_value=AMOUNT_MINOR_MAX)


def amount(text: object, currency: object = "EUR") -> Amount:
    """Return what is written so, if it is an amount."""
    return Amount.model_validate({"amount": text, "currency": currency})


@given(minors, currencies)
def test_an_amount_round_trips(minor: int, currency: str) -> None:
    """Minor units to wire and back are the same minor units, and the same text again."""
    text = wire(minor, currency)
    parsed = Amount.model_validate(text)
    assert parsed.minor == minor
    assert wire(parsed.minor, currency) == text == parsed.model_dump()


@given(st.integers(min_value=-(10**17), max_value=10**17), currencies)
def test_signed_wire_text_is_exact(minor: int, currency: str) -> None:
    """The text has exactly the currency's decimals, and its digits are the minor units."""
    text = wire(minor, currency)["amount"]
    whole, _, fraction = text.removeprefix("-").partition(".")
    assert len(fraction) == EXPONENTS[currency]
    assert whole == str(int(whole))
    assert int(whole + fraction) * (-1 if text.startswith("-") else 1) == minor


@given(minors, currencies)
def test_a_balance_of_the_other_sign_differs_by_its_sign_alone(minor: int, currency: str) -> None:
    """A debit is written as the credit with a minus before it."""
    assert wire(-minor, currency)["amount"] == "-" + wire(minor, currency)["amount"]


@given(
    minor=minors,
    currency=currencies,
    respelled=st.sampled_from(
        [
            "0{0}",
            "00{0}",
            "+{0}",
            "-{0}",
            " {0}",
            "{0} ",
            "{0}\n",
            "\t{0}",
            "{0}0",
            "{0}.",
            ".{0}",
            "{0}e0",
            "{0}E0",
            "{0}e+0",
            "{0}\x00",
            "\ufeff{0}",
            "{0},0",
            "1_{0}",
            "0x{0}",
            "({0})",
            "{0} EUR",
            "\u0661{0}",
            "{0}\u0660",
        ]
    ),
)
def test_every_other_spelling_is_refused(minor: int, currency: str, respelled: str) -> None:
    """What a lenient parser would read as the same number is not a second name for it."""
    text = respelled.format(wire(minor, currency)["amount"])
    exponent = EXPONENTS[currency]
    if respelled == "{0}0" and not exponent:
        return  # ten times the yen: another value, not another spelling
    with pytest.raises(ValidationError):
        amount(text, currency)


@given(minors, currencies)
def test_other_decimals_than_the_currencys_are_refused(minor: int, currency: str) -> None:
    """Neither fewer nor more decimals than ISO 4217 gives, however many zeros they are."""
    for exponent in set(range(5)) - {EXPONENTS[currency]}:
        whole, fraction = divmod(minor, 10**exponent)
        text = f"{whole}.{fraction:0{exponent}d}" if exponent else str(whole or 1)
        with pytest.raises(ValidationError):
            amount(text, currency)


@given(st.text(max_size=24), currencies)
def test_any_text_is_refused_or_is_the_one_spelling(text: str, currency: str) -> None:
    """Whatever is accepted is exactly what we would write ourselves."""
    try:
        parsed = amount(text, currency)
    except ValidationError:
        return
    assert wire(parsed.minor, currency)["amount"] == text


@given(st.from_regex(r"[0-9]{0,18}[.,]?[0-9]{0,4}", fullmatch=True), currencies)
def test_any_number_is_refused_or_is_the_one_spelling(text: str, currency: str) -> None:
    """Near misses, too, are accepted only as we would write them."""
    try:
        parsed = amount(text, currency)
    except ValidationError:
        return
    assert wire(parsed.minor, currency)["amount"] == text


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("0.00", "EUR"),
        ("0", "JPY"),
        ("-0.01", "EUR"),
        ("-0.00", "EUR"),
        ("10000000000000.01", "EUR"),
        ("1000000000000001", "JPY"),
        ("99999999999999999999", "JPY"),
        ("9" * 21, "JPY"),
        ("1,00", "EUR"),
        ("1.0O", "EUR"),
        ("\uff11.\uff10\uff10", "EUR"),
        ("NaN", "EUR"),
        ("Infinity", "JPY"),
        ("", "EUR"),
        (".", "EUR"),
        (".50", "EUR"),
        ("1.", "JPY"),
        ("1.000", "EUR"),
        ("1.00", "JPY"),
        ("1", "EUR"),
        ("1.00", "eur"),
        ("1.00", "XXX"),
        ("1.00", ""),
        ("1.00", "EUR "),
        (1, "JPY"),
        (1.0, "EUR"),
        (True, "JPY"),
        (None, "EUR"),
        ("1.00", None),
        (b"1.00", "EUR"),
    ],
    ids=ascii,
)
def test_what_is_no_amount_is_refused(text: object, currency: object) -> None:
    """Zero, negative, too large, untyped or unknown: none of them is an amount."""
    with pytest.raises(ValidationError):
        amount(text, currency)


@pytest.mark.parametrize("text", ['{"amount": 1.00, "currency": "EUR"}', '{"amount": "1.00"}'])
def test_json_numbers_and_missing_currencies_are_refused(text: str) -> None:
    """A JSON number is no amount: it may already have lost its last digit."""
    with pytest.raises(ValidationError):
        Amount.model_validate_json(text)


def test_an_unknown_property_is_refused() -> None:
    """An amount says nothing beside itself."""
    with pytest.raises(ValidationError):
        Amount.model_validate({"amount": "1.00", "currency": "EUR", "exponent": 3})


def test_the_largest_and_the_smallest_amount_exist() -> None:
    """The limits themselves are inside."""
    assert amount("10000000000000.00").minor == AMOUNT_MINOR_MAX
    assert amount("1000000000000000", "JPY").minor == AMOUNT_MINOR_MAX
    assert amount("0.01").minor == amount("1", "JPY").minor == 1
