"""What the demo plays: each scene is one deployment and what it promises."""

from dataclasses import dataclass
from typing import Literal

from greenlane.deployments.declaring.config import StepConfig, Strategy

Ending = Literal["succeeded", "rolled_back"]


@dataclass(frozen=True)
class Scene:
    """One deployment under load.

    Args:
        name: what `--scene` takes.
        title: what a person reads.
        version: the version that is deployed; each scene's is new.
        behaviour: how it behaves, see `greenlane.local.images`.
        strategy: how it is rolled out.
        ending: the outcome that is promised.
        steps: weights of its own, in percent; None for the strategy's.
        by_alarm: the way back is promised to begin with a CloudWatch alarm.
        most_transitions: state transitions that a canary to a good version takes at most.
    """

    name: str
    title: str
    version: str
    behaviour: str
    strategy: Strategy
    ending: Ending
    steps: tuple[int, ...] | None = None
    by_alarm: bool = False
    most_transitions: int = 45

    @property
    def good(self) -> bool:
        """No client request may be lost."""
        return self.ending == "succeeded"

    @property
    def step_configs(self) -> tuple[StepConfig, ...] | None:
        """The steps as a request takes them."""
        if self.steps is None:
            return None
        return tuple(StepConfig(weight=weight) for weight in self.steps)


CORE = (
    Scene(
        name="blue-green",
        title="blue/green to a good version",
        version="v2",
        behaviour="good",
        strategy="blue_green",
        ending="succeeded",
    ),
    Scene(
        name="canary",
        title="canary to a good version",
        version="v3",
        behaviour="good",
        strategy="canary",
        ending="succeeded",
    ),
    Scene(
        name="bad-canary",
        title="canary to a version that fails 8 % of its requests",
        version="v4",
        behaviour="errors:0.08",
        strategy="canary",
        # At the demo's traffic smaller shares give the alarm too few requests to speak.
        steps=(25, 50, 100),
        ending="rolled_back",
        by_alarm=True,
    ),
)

MORE = (
    Scene(
        name="hanging",
        title="canary to a version that never answers 8 % of its requests",
        version="v5",
        behaviour="hang:0.08",
        strategy="canary",
        steps=(25, 50, 100),
        ending="rolled_back",
    ),
    Scene(
        name="resetting",
        title="canary to a version that resets 8 % of its connections",
        version="v6",
        behaviour="reset:0.08",
        strategy="canary",
        steps=(25, 50, 100),
        ending="rolled_back",
    ),
    Scene(
        name="leaking",
        title="blue/green to a version that fails after 200 requests",
        version="v7",
        behaviour="leak:200",
        strategy="blue_green",
        ending="rolled_back",
    ),
    Scene(
        name="crashing",
        title="canary to a version that crashes at its start",
        version="v8",
        behaviour="crash",
        strategy="canary",
        ending="rolled_back",
    ),
)

SCENES = {scene.name: scene for scene in (*CORE, *MORE)}
