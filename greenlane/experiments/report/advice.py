"""What a reader can do next, by how a test stands. Pure; no I/O."""

from greenlane.experiments.report.model import Report
from greenlane.experiments.storing.state import StoredTest

Steps = tuple[tuple[str, str], ...]


def next_steps(report: Report, test: StoredTest) -> Steps:
    """In words, each with a command where there is one."""
    again = (
        "Begin again, with users who are dealt anew.",
        f"greenlane experiments start {report.name} --again",
    )
    match report.outcome:
        case "running":
            return (
                ("Leave it alone: it is looked after, and ends by itself.", ""),
                (
                    "To end it before, say why.",
                    f"greenlane experiments stop {report.name} --reason REASON",
                ),
            )
        case "ship":
            return _shipped(report, test)
        case "futile":
            return (("Keep what there is; look for a larger change to test.", ""),)
        case "inconclusive":
            return (
                ("Plan how many users the effect that matters would need.", ""),
                again,
            )
        case "invalid":
            return (
                (
                    "Find why users came otherwise than planned: an exposure that is told for one "
                    "variant alone, a redirect, a bot, a crash before it is told.",
                    "",
                ),
                again,
            )
        case "rollback":
            return (("Mend what the treatment breaks; everybody has the control.", ""), again)
        case _:
            return (again,)


def _shipped(report: Report, test: StoredTest) -> Steps:
    flag = test.definition.winner_flag
    steps = [
        (f"Make {report.served} the only way, and take the others out of the code.", ""),
    ]
    if flag is not None:
        steps.insert(
            0,
            (
                f"See how {flag.name} is ramped.",
                f"greenlane flags get {flag.name}",
            ),
        )
    return tuple(steps)
