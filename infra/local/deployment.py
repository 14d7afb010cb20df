"""Build the sources and deploy them onto a running emulator, as in production."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from infra.build import (
    LOCAL,
    BuildError,
    build,
    configured_parameters,
    exclusive,
    host_architecture,
    sam_environment,
)
from infra.local.aws import client, environment
from infra.release import ReleaseError
from infra.steps import StepFailedError, run_step

POLL_S = "0.2"
FAILURES_SHOWN = 10


class DeploymentError(Exception):
    """The stack could not be built or deployed; its text says which resource failed and why."""


def deploy(
    *, project: Path, name: str, endpoint: str, origins: Mapping[str, str], log: Path
) -> str:
    """Build `project`, deploy it as the stack `name`, and return the release.

    Raises:
        DeploymentError: the build or the deployment failed.
    """
    began = datetime.now(UTC)
    try:
        parameters = {
            **configured_parameters(project, LOCAL),
            **origins,
            "Architecture": host_architecture(),
        }
        with exclusive(project):
            release = build(project, parameters=parameters)
            run_step(
                "Deploying",
                [
                    *(sys.executable, "-m", "samcli", "deploy", "--config-env", LOCAL),
                    *("--stack-name", name, "--parameter-overrides"),
                    *(f"{key}={value}" for key, value in sorted(parameters.items())),
                ],
                cwd=project,
                env={
                    **sam_environment(project),
                    **environment(endpoint),
                    "SAM_CLI_POLL_DELAY": POLL_S,
                },
                log=log,
            )
    except (BuildError, ReleaseError) as error:
        raise DeploymentError(str(error)) from error
    except StepFailedError as error:
        raise DeploymentError("\n".join([str(error), *_failures(name, endpoint, began)])) from error
    return release


def _failures(name: str, endpoint: str, since: datetime) -> list[str]:
    """Return a line for each resource that failed since then, the first cause first."""
    cloudformation = client("cloudformation", endpoint=endpoint)
    try:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    except cloudformation.exceptions.ClientError:  # The build failed: there is no stack.
        return []
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED") and event["Timestamp"] >= since
    ][:FAILURES_SHOWN]
