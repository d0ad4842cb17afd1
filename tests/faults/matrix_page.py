"""The published page: docs/fault-matrix.md."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.faults.cells import FEW, Outcome
from tests.faults.faults import KINDS
from tests.faults.matrix_rows import NO_ROW, NOT_ON_THE_WAY
from tests.faults.published import DENIED, GOES_BACK, STAYED

COLUMNS = (*KINDS, "twice")
LETTERS = {"retired": "p", "rolled_back": "b", "refused": "n", "nothing began": "n", "held": "h"}
LETTERS |= {"promoted": "t", "rolling_back": "t", "watching": "w"}
LETTERS |= {"planning": "u", "preparing": "u", "shifting": "u", STAYED: "u"}


def page(found: Sequence[Outcome], schedules: Sequence[Outcome]) -> str:
    """The whole page."""
    lines = [
        "# Fault matrix",
        "",
        "Written by `make faults`; do not edit. What the simulated account is, and what is checked",
        "after every call, is on the page about [testing](testing.md).",
        "",
        "| What | Runs | Ended whole | Held, and paged | As listed below | Broken |",
        "|---|---|---|---|---|---|",
        _summary("Cells of the matrix", found),
        _summary("Random schedules", schedules),
        "",
        *_calls(found),
        *_scenes(found),
        *_published(),
        *_goes_back(),
        *_without_a_row(),
        *_broken((*found, *schedules)),
    ]
    return "\n".join(lines) + "\n"


def letter(outcome: Outcome) -> str:
    """How an outcome is shown."""
    if outcome.broken:
        return "!"
    return LETTERS.get(outcome.outcome, "!")


def _summary(what: str, found: Sequence[Outcome]) -> str:
    letters = Counter(letter(outcome) for outcome in found)
    whole = sum(letters[one] for one in "pbn")
    trying = sum(letters[one] for one in "twu")
    numbers = (len(found), whole, letters["h"], trying, letters["!"])
    return f"| {what} | {' | '.join(str(number) for number in numbers)} |"


def _calls(found: Sequence[Outcome]) -> Iterable[str]:
    by_call: dict[tuple[str, str], dict[str, Counter[str]]] = defaultdict(
        lambda: defaultdict(Counter)
    )
    for outcome in found:
        by_call[outcome.call][outcome.kind][letter(outcome)] += 1
    yield from (
        "## By call",
        "",
        "Outcomes over all scenes: `p` promoted to the end, `b` back on the version before, `n`",
        "refused or never begun, `h` held with a page, `t` on one healthy version, paged and still",
        "trying, `w` promoted, paged, and its watch does not end, `u` paged, and nobody goes on,",
        "`!` broken. `h`, `t`, `w` and `u` are on [the published list](#the-published-list), or",
        "by design of the scene. Functions that run twice, at once or up to 30 seconds later, have",
        "rows of their own.",
        "",
        "| Function | Call | " + " | ".join(kind.replace("_", " ") for kind in COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    )
    for (function, call), kinds in sorted(by_call.items()):
        row = [_counts(kinds.get(kind, Counter())) for kind in COLUMNS]
        name = call if " " in call else f"`{call}`"
        yield f"| `{function}` | {name} | " + " | ".join(row) + " |"


def _scenes(found: Sequence[Outcome]) -> Iterable[str]:
    by_scene: dict[str, Counter[str]] = {}
    for outcome in found:
        by_scene.setdefault(outcome.scene, Counter())[letter(outcome)] += 1
    yield from (
        "",
        "## By scene",
        "",
        "The first eight are plain: every fault at the first call of each kind; in a canary at",
        "the last too, and in the functions that tell people. In the others something else",
        "happens beside the fault, see `tests/faults/disturbances.py`. They are struck from there",
        "on, at the first and the last call of each kind in each phase: with every fault where no",
        "scene above makes that call in that phase; where only disturbed ones do, and on the way",
        f"back, with one of {', '.join(FEW).replace('_', ' ')} in turn. In plain scenes the first",
        "and the last run of each function is repeated at once and later; in the others the first",
        "at once and the last later, but for those that tell people.",
        "",
        "| Scene | Runs | Outcomes |",
        "|---|---|---|",
    )
    for scene, letters in by_scene.items():
        yield f"| {scene} | {letters.total()} | {_counts(letters)} |"


def _published() -> Iterable[str]:
    yield from (
        "",
        "## The published list",
        "",
        "What may be left behind when a permission is gone. The case is that of",
        "[When it is held](rollback.md#when-it-is-held).",
        "",
        "| Function | Calls | Ends | Case | What follows |",
        "|---|---|---|---|---|",
    )
    for one in DENIED:
        calls = ", ".join(f"`{call}`" for call in one.calls)
        ends = ", ".join(sorted({LETTERS[end] for end in one.ends}))
        yield f"| `{one.function}` | {calls} | {ends} | {one.case} | {one.why} |"


def _goes_back() -> Iterable[str]:
    yield from (
        "",
        "## What one fault turns",
        "",
        "Any fault but a permission that is gone must be absorbed: the scene ends as it does",
        "without it. Except here, where a good version goes back.",
        "",
        "| Function | Call | Faults | Why that is right |",
        "|---|---|---|---|",
    )
    for one in GOES_BACK:
        kinds = ", ".join(one.kinds)
        yield f"| `{one.function}` | `{one.call}` | {kinds} | {one.why} |"


def _without_a_row() -> Iterable[str]:
    yield from (
        "",
        "## Without a row",
        "",
        "Calls that the code names, and that no scene makes.",
        "",
        "| Function | Call | Why |",
        "|---|---|---|",
    )
    for function, why in sorted(NOT_ON_THE_WAY.items()):
        yield f"| `{function}` | all | {why} |"
    for (function, call), why in sorted(NO_ROW.items()):
        yield f"| `{function}` | `{call}` | {why} |"


def _broken(outcomes: Sequence[Outcome]) -> Iterable[str]:
    broken = [outcome for outcome in outcomes if outcome.broken]
    if broken:
        yield from ("", "## Broken", "")
    for outcome in broken:
        yield f"- {outcome.name}: {'; '.join(outcome.broken)}"


def _counts(letters: Counter[str]) -> str:
    return " ".join(f"{count}{one}" for one, count in sorted(letters.items()))
