"""The results as a page of the documentation."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.judgement.measure import BAKE, MAX_HOLD, SERVICES, WEIGHTS, Aborts, Cell
from benchmarks.judgement.services import Fault
from greenlane.health.power import Visible

JUDGES = {
    "greenlane": "Greenlane",
    "fixed": "Fixed thresholds",
    "consecutive": "Three in a row",
    "kayenta": "Mann-Whitney",
}
MOST_ABORTS, MOST_MISSES, MOST_REQUESTS, MOST_MILLISECONDS = 0.01, 0.1, 150, 5.0


@dataclass(frozen=True)
class Results:
    """All that was measured; `detected` by name of the tests and weight."""

    aborts: list[Aborts]
    cells: list[Cell]
    plans: dict[str, tuple[Visible, ...]]
    detected: dict[tuple[str, int], float]
    levels: tuple[str, ...]
    milliseconds: float


def page(results: Results) -> str:
    """The whole page."""
    return "\n".join(
        (
            *_head(),
            "## Goals\n",
            *_goals(results),
            "\n## False aborts\n",
            *_aborts(results),
            "\n## What the plan says that a step can see\n",
            *_plans(results),
            "\n## Misses\n",
            *_misses(results),
            "\n## Requests until 0.1 -> 5 percent of errors is proven\n",
            *_detected(results),
            "\n## What is compared\n",
            *_compared(),
            "",
        )
    )


def _head() -> tuple[str, ...]:
    return (
        "# How often the judge is wrong\n",
        "<!-- Written by `make bench-judge`; do not edit. -->\n",
        "Synthetic services, fixed seeds: `make bench-judge` writes this page again. A canary of "
        f"{', '.join(map(str, WEIGHTS))} percent with {BAKE} judged minutes each, judged every "
        "minute. Four ways to judge look at the same minutes.\n",
    )


def _goals(results: Results) -> list[str]:
    worst_aborts = max(one.taken_back["greenlane"] / one.deployments for one in results.aborts)
    waiting = [
        (one.service, one.weights, one.without_evidence / one.deployments) for one in results.aborts
    ]
    worst_waits = max(share for *_, share in waiting)
    waits = max(
        share
        for name, weights, share in waiting
        if results.plans[name][WEIGHTS.index(weights[0])].error_rate is not None
    )
    seen = [cell for cell in results.cells if cell.promised]
    promised = sum(cell.promised for cell in seen)
    mean_unfailed = 1 - sum(cell.kept["greenlane"]["fail"] for cell in seen) / promised
    mean_promoted = sum(cell.kept["greenlane"]["pass"] for cell in seen) / promised
    often = [cell for cell in seen if 2 * cell.promised >= cell.runs]
    unfailed = max(1 - cell.kept["greenlane"]["fail"] / cell.promised for cell in often)
    promoted = max(cell.kept["greenlane"]["pass"] / cell.promised for cell in often)
    both = {
        name: [results.detected[name, weight] for weight in WEIGHTS[:-1]] for name in results.levels
    }
    rows = [
        (
            "False aborts per deployment, worst service",
            "1 %",
            _percent(worst_aborts),
            worst_aborts <= MOST_ABORTS,
        ),
        *(
            (what, "1 %", _percent(share), share <= MOST_ABORTS)
            for what, share in (
                (
                    "Healthy, but no evidence within the hold, where the plan sees in each step",
                    waits,
                ),
                ("The same, worst service, blind first step included", worst_waits),
            )
        ),
        *(
            (what, "10 %", _percent(found), found <= MOST_MISSES)
            for what, found in (
                ("Misses (promoted) where the plan says the step sees it, all", mean_promoted),
                ("The same, worst fault, step and service", promoted),
                ("Not failed within the step where the plan says so, all", mean_unfailed),
                ("The same, worst fault, step and service", unfailed),
            )
        ),
        *(
            (
                f"Median requests to detect 0.1 -> 5 %: {name}, {part}",
                str(MOST_REQUESTS),
                f"{max(requests):.0f}",
                max(requests) <= MOST_REQUESTS,
            )
            for name, found in both.items()
            if name.startswith("both")
            for part, requests in (("1 to 10 % of the traffic", found[:3]), ("any weight", found))
        ),
        (
            "CPU of one judgement of ten metrics over 60 minutes",
            f"{MOST_MILLISECONDS:.0f} ms",
            f"{results.milliseconds:.1f} ms",
            results.milliseconds <= MOST_MILLISECONDS,
        ),
    ]
    return _table(
        ("What", "Goal, at most", "Measured", "Met"),
        [(what, goal, found, "yes" if met else "**no**") for what, goal, found, met in rows],
    )


def _aborts(results: Results) -> list[str]:
    lines = [
        "Healthy versions that a judge took back, of each service's deployments. Greenlane waits "
        f"for evidence: a step holds for {MAX_HOLD} minutes at most. What holds still is no "
        "judgement, but goes back by the default policy (`on_no_evidence`): a quiet service needs "
        "larger first steps, and the plan says so.\n"
    ]
    rows = [
        (
            _service(one.service),
            ", ".join(map(str, one.weights)),
            str(one.deployments),
            *(_percent(one.taken_back[name] / one.deployments) for name in JUDGES),
            _percent(one.without_evidence / one.deployments),
            ", ".join(
                f"{100 * one.held_steps[step] / one.deployments:.0f}"
                for step in range(len(one.weights))
            ),
            f"{one.minutes / one.deployments:.1f}",
        )
        for one in results.aborts
    ]
    held = "Held at the bakes' ends, percent"
    head = (
        "Service",
        "Steps",
        "Deployments",
        *JUDGES.values(),
        "No evidence in time",
        held,
        "Minutes",
    )
    return lines + _table(head, rows)


def _plans(results: Results) -> list[str]:
    lines = [
        "The smallest error rate, and the smallest slowdown, that fail within the step in nine "
        "of ten cases, by `greenlane.health.power`. Usual are 0.1 percent of errors. At 100 "
        "percent nothing serves beside the candidate, so only the fixed limits are left.\n"
    ]
    rows = [
        (
            _service(name),
            *(_sight(step) for step in plan),
        )
        for name, plan in results.plans.items()
    ]
    return lines + _table(("Service", *(f"{weight} %" for weight in WEIGHTS)), rows)


def _misses(results: Results) -> list[str]:
    lines = [
        "A fault begins with the step, after healthy ones. Each cell: not failed within the step, "
        "percent of the runs; behind the stroke what the step's end would promote: a miss. "
        "Between the two it holds, and the step waits. **Bold**: the plan says that the step sees "
        "the fault, at the time of day of most runs.\n",
    ]
    for service in SERVICES:
        own = [cell for cell in results.cells if cell.service == service.name]
        lines.append(f"### {_service(service.name)}\n")
        for name, title in JUDGES.items():
            lines.append(f"{title}:\n")
            lines += _table(
                ("Fault", *(f"{weight} %" for weight in WEIGHTS[:-1])), _rows(own, name)
            )
            lines.append("")
    return lines[:-1]


def _rows(cells: Sequence[Cell], judge: str) -> list[tuple[str, ...]]:
    faults = list(dict.fromkeys(cell.fault for cell in cells))
    rows = []
    for fault in faults:
        row = [_fault(fault)]
        for cell in (cell for cell in cells if cell.fault == fault):
            promoted = cell.outcomes[judge]["pass"] / cell.runs
            shown = f"{100 * _missed(cell, judge):.0f} / {100 * promoted:.0f}"
            row.append(f"**{shown}**" if 2 * cell.promised >= cell.runs else shown)
        rows.append(tuple(row))
    return rows


def _detected(results: Results) -> list[str]:
    lines = [
        "The median of the candidate's requests, looked at after every fifth of them. The live "
        "slot serves the rest of the traffic with 0.1 percent of errors. Against it, most is "
        "learnt where it serves most; the limit of 1 percent knows nothing of weights.\n"
    ]
    rows = [
        (name, *(f"{results.detected[name, weight]:.0f}" for weight in WEIGHTS[:-1]))
        for name in results.levels
    ]
    return lines + _table(("Tests", *(f"{weight} %" for weight in WEIGHTS[:-1])), rows)


def _compared() -> list[str]:
    shown = SERVICES[0]
    return [
        f"- **Services**: {', '.join(_service(one.name) for one in SERVICES)}. Requests follow a "
        f"day of +-{100 * shown.cycle:.0f} percent and minutes that differ by "
        f"{100 * shown.noise:.0f} percent, response times are log-normal (median "
        f"{shown.median_ms:.0f} ms, p95 {shown.p95_ms:.0f} ms). Both slots share noise of "
        f"{100 * shown.shared_times:.0f} percent in response times and of a factor of "
        f"{2.718**shown.shared_errors:.1f} in error rates; each has "
        f"{100 * shown.own_times:.0f} percent in response times for itself.",
        "- **Greenlane**: errors at most 1 percent, and at most 50 percent more than the live "
        "slot; p95 at most 2000 ms, and at most 5 percent more than the live slot. All tests "
        "together at alpha 0.01 for the whole deployment.",
        "- **Fixed thresholds**: more than 1 percent of errors or a p95 above 2000 ms in one "
        "minute fails, as in the specification's loop.",
        "- **Three in a row**: the same measurements, three failures in a row fail, as analysis "
        "runs of Argo Rollouts are often set up.",
        "- **Mann-Whitney**: Kayenta's classifier written again (confidence 0.98, tolerance 0.25, "
        "direction increase) on the minutes of both slots at each step's end; of a healthy "
        "deployment all minutes so far, of a fault those of its step. Below 75 of 100 fails, "
        "from 95 on passes, between is a hold.",
        "- The limits do not see a slowdown: 455 ms doubled is far from 2000 ms. That is what "
        "fixed limits are like, and why the live slot is the better measure.",
    ]


def _missed(cell: Cell, judge: str) -> float:
    return 1 - cell.outcomes[judge]["fail"] / cell.runs


def _service(name: str) -> str:
    (service,) = (one for one in SERVICES if one.name == name)
    return f"{name}, {service.requests / 60:g} requests a second"


def _fault(fault: Fault) -> str:
    if fault.error_rate is not None:
        return f"{100 * fault.error_rate:g} % errors"
    return f"{100 * (fault.slower - 1):.0f} % slower"


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.2f} %"


def _sight(step: Visible) -> str:
    if step.error_rate is None and step.slowdown is None:
        return "blind"
    errors = "-" if step.error_rate is None else f"{100 * step.error_rate:.2g} % errors"
    slower = "-" if step.slowdown is None else f"{100 * step.slowdown:.0f} % slower"
    return f"{errors}, {slower}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
