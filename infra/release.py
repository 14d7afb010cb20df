"""The release: a name for all that is deployed, literal in the built template.

SAM publishes a new version of a function only when it sees a change in the template.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

PLACEHOLDER = "RELEASE: unreleased"
HEX_DIGITS = 16
PLACE = re.compile(rf"RELEASE: (?:unreleased|r[0-9a-f]{{{HEX_DIGITS}}})$", re.MULTILINE)


class ReleaseError(Exception):
    """The template has no one place for the release; its text is for the person who builds."""


def derive(content: str, *, parameters: Mapping[str, str]) -> str:
    """Return the name of what is about to be deployed.

    SAM does not see a parameter's value or a nested stack's output: both count here, beside the
    digest of all content. Never a number, so that YAML reads it as text.
    """
    digest = hashlib.sha256(json.dumps([content, dict(parameters)], sort_keys=True).encode())
    return f"r{digest.hexdigest()[:HEX_DIGITS]}"


def write(template: Path, release: str) -> None:
    """Put the release into the built template, where its placeholder or another release stands.

    Raises:
        ReleaseError: that place does not stand there exactly once.
    """
    text, count = PLACE.subn(f"RELEASE: {release}", template.read_text())
    if count != 1:
        raise ReleaseError(f"template.yaml must say `{PLACEHOLDER}` once, in Globals")
    template.write_text(text)


def removed(template: Path) -> str:
    """Return the built template as it was before a release stood in it."""
    return PLACE.sub(PLACEHOLDER, template.read_text())
