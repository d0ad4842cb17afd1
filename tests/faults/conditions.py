"""What varies by itself in a run, without anything being broken."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Conditions:
    """How AWS behaves; the default is the best that it does.

    Args:
        alarm_delay_seconds: the most that the event of an alarm takes, so events overtake others.
        alarms_lost: the chance, 0..1, that the event of an alarm never comes.
        alarms_by_sns: whether alarms also publish to the topic `greenlane-alarms`.
        unknown_seconds: how long a started execution may be unknown to `DescribeExecution`, and an
            ended one said to run.
        stale_seconds: how old what ECS says of services and tasks may be.
        health_lag_seconds: how long a task that died still counts as healthy in its target group.
        scale_in_seconds: how long a task that ECS is about to stop still counts as healthy.
        calls_per_second: of each kind that AWS answers, for all functions together; 0 for no limit.
    """

    alarm_delay_seconds: float = 0.5
    alarms_lost: float = 0.0
    alarms_by_sns: bool = False
    unknown_seconds: float = 0.0
    stale_seconds: float = 0.0
    health_lag_seconds: float = 0.0
    scale_in_seconds: float = 0.0
    calls_per_second: float = 0.0


BEST = Conditions()
