"""The role that a deployer makes for operators, as the page about the first deployment says."""

import re
from pathlib import Path

from tests.template import policies

PAGE = Path("docs/first-deploy.md")


def test_the_page_grants_what_the_sandbox_s_role_has() -> None:
    """Whoever follows the page lets operators freeze, lift and release, and do nothing else."""
    written = re.findall(r"^arn:aws:execute-api:.*/<Stage>/(\S+)$", PAGE.read_text(), re.MULTILINE)
    granted = [
        right.on.removeprefix("InternalApi/{Stage}/")
        for right in policies.of("operator")
        if right.action == "execute-api:Invoke"
    ]
    assert written == granted
    assert len(granted) == len(policies.of("operator")) == 4
