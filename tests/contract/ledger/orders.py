"""Orders as a user or a partner writes them: the raw bytes that are signed."""

from tests.support.jws import compact_json


def open_wallet(currency: str = "EUR") -> bytes:
    """Return the order to open a wallet."""
    return compact_json({"currency": currency})


def transfer(to_account: str, amount: str, currency: str = "EUR") -> bytes:
    """Return the order to move *amount* to somebody."""
    return compact_json(
        {"to_account": to_account, "amount": {"amount": amount, "currency": currency}}
    )


def deposit(account: str, amount: str, reference: str, currency: str = "EUR") -> bytes:
    """Return the order to pay *amount* in."""
    return compact_json(
        {
            "account": account,
            "amount": {"amount": amount, "currency": currency},
            "reference": reference,
        }
    )
