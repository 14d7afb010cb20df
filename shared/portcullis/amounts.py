"""Money: integer minor units inside, exact decimal text on the wire.

ISO 4217 gives each currency its exponent; a wire amount has exactly that many digits after the
point, so that "12.3" and "12.30" cannot be two spellings of one order.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from portcullis.schema import Strict

EXPONENTS: dict[str, int] = {"CHF": 2, "EUR": 2, "GBP": 2, "JPY": 0, "USD": 2}
AMOUNT_MINOR_MAX = 10**15
"""No single amount or balance exceeds this; sums of many stay within 64 bits."""

Currency = Literal["CHF", "EUR", "GBP", "JPY", "USD"]

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,3})?")


def _decimal(text: str) -> str:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not a plain decimal number")
    return text


DecimalText = Annotated[str, StringConstraints(max_length=20), AfterValidator(_decimal)]


class Amount(Strict):
    """A positive amount of one currency, in exactly that currency's number of decimals."""

    amount: DecimalText
    currency: Currency

    @property
    def minor(self) -> int:
        """The amount in minor units, between 1 and ``AMOUNT_MINOR_MAX``."""
        return int(self.amount.replace(".", ""))

    @model_validator(mode="after")
    def _fits_its_currency(self) -> Self:
        _, _, fraction = self.amount.partition(".")
        if len(fraction) != EXPONENTS[self.currency]:
            raise ValueError("wrong number of decimals")
        if not 0 < self.minor <= AMOUNT_MINOR_MAX:
            raise ValueError("out of range")
        return self


def wire(minor: int, currency: str) -> dict[str, str]:
    """Return signed minor units as the wire's ``{"amount", "currency"}``."""
    exponent = EXPONENTS[currency]
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(exponent + 1, "0")
    text = f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits
    return {"amount": sign + text, "currency": currency}
