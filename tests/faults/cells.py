"""Which calls of which scenes are struck, and what becomes of each: the cells of the matrix.

A plain scene, one of each strategy with a good and with a bad version, is struck with every fault
at the first call of each kind; a canary at the last too, and in the functions that tell people. A
disturbed scene is struck from where it begins to differ from the plain one, at the first and at
the last call of each kind in each phase: with every fault where no scene before it makes that call
in that phase; with one of `FEW`, in turn, where only other disturbed scenes do, and on the way
back. The first and the last run of each function is repeated, at once and later: in a disturbed
scene the one at once and the other later, and none that tells people.
"""

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tests.faults.account import Account
from tests.faults.check import Verdict
from tests.faults.disturbances import DISTURBANCES
from tests.faults.exposure import too_many_pages
from tests.faults.faults import KINDS, Faults, Kind, Site, one
from tests.faults.published import STAYED, May, allowed
from tests.faults.scenes import OUTCOMES, STRATEGIES, Scene

FULL = "canary"
FEW: tuple[Kind, ...] = ("late", "denied", "killed_after")
"""No answer and then an effect, never an effect again, an effect and then nobody to go on."""

TELLERS = frozenset({"notify_people", "post_alerts", "report_incident"})
"""Whatever becomes of them decides nothing about traffic."""

MOST_SECONDS = 30.0
Place = tuple[str, str, str]
"""Function, call, and the phase on record when it is made."""

Twice = Literal["twice"]


@dataclass(frozen=True, order=True)
class Invocation:
    """The n-th run of a function, which is repeated: at once, or up to 30 seconds later."""

    function: str
    number: int
    later: bool

    @property
    def seconds(self) -> float:
        """How much later the second run begins."""
        return random.Random(str(self)).uniform(0, MOST_SECONDS) if self.later else 0.0

    def __str__(self) -> str:
        return f"{self.function} #{self.number}, {'later' if self.later else 'at once'}"


@dataclass(frozen=True)
class Cell:
    """One run: this call of this scene fails so, or this run of a function happens `twice`."""

    scene: Scene
    at: Site | Invocation
    kind: Kind | Twice


@dataclass(frozen=True)
class Outcome:
    """What became of a cell, or of a schedule."""

    name: str
    outcome: str
    broken: tuple[str, ...]
    call: tuple[str, str] = ("", "")
    kind: str = ""
    scene: str = ""


def plain_scenes() -> list[Scene]:
    """Each strategy with a good version and with a bad one."""
    return [Scene(strategy, bad) for strategy in STRATEGIES for bad in (False, True)]


def disturbed_scenes() -> list[Scene]:
    """Each disturbance, in a canary."""
    return [
        Scene(bad=what.bad, sticky=what.sticky, lose_events=what.lose_events, disturbance=name)
        for name, what in DISTURBANCES.items()
    ]


@dataclass(frozen=True)
class Played:
    """A scene without any fault: its calls in order with their phases, and how often each
    function ran."""

    scene: Scene
    calls: tuple[tuple[Site, str], ...]
    runs: tuple[tuple[str, int], ...]

    def place(self, index: int) -> Place:
        """Of a call by its index."""
        site, phase = self.calls[index]
        return site.caller, f"{site.service}.{site.operation}", phase


@cache
def play(scene: Scene) -> Played:
    """Play a scene, which must end as it says."""
    faults = Faults()

    def watch(account: Account) -> None:
        def phase() -> str:
            record = account.record()
            return "nothing began" if record is None else record.phase.value

        faults.phase = phase

    verdict, account = scene.play(faults, also=watch)
    assert not verdict.broken, f"{scene.name} without any fault: {verdict.broken}"
    wanted = OUTCOMES[scene.what.ends][0]
    assert verdict.outcome == wanted, f"{scene.name} ended {verdict.outcome} instead of {wanted}"
    calls = tuple(zip(faults.sites, faults.phases, strict=True))
    return Played(scene, calls, tuple(sorted(account.invoked.items())))


def plain_cells(played: Played, kinds: Iterable[Kind] = KINDS) -> list[Cell]:
    """The first time of each call, and in a canary the last as well, and those of `TELLERS`."""
    sites = [site for site, _ in played.calls]
    chosen = {site for site in sites if site.number == 1 and site.caller not in TELLERS}
    if played.scene.strategy == FULL:
        chosen = {site for site in sites if site.number == 1}
        chosen |= set({site.call: site for site in sites}.values())
    return [Cell(played.scene, site, kind) for site in sorted(chosen) for kind in kinds]


def struck_places(played: Played) -> set[Place]:
    """Where the cells of a plain scene strike."""
    chosen = {cell.at for cell in plain_cells(played, ["before"])}
    indices = range(len(played.calls))
    return {played.place(index) for index in indices if played.calls[index][0] in chosen}


class Chooser:
    """Chooses the cells of disturbed scenes, one scene after the other.

    Args:
        plain: the plain scenes as they were played.
        thorough: strike every call of theirs, and with all of `FEW`.
    """

    def __init__(self, plain: list[Played], *, thorough: bool = False) -> None:
        self._struck = {place for played in plain for place in struck_places(played)}
        self._known = set(self._struck)
        self._alike = {one.scene.bad: one for one in plain if one.scene.strategy == FULL}
        self._turns = itertools.count()
        self._thorough = thorough

    def cells(self, played: Played) -> list[Cell]:
        """The calls of one scene."""
        pairs = itertools.zip_longest(played.calls, self._alike[played.scene.bad].calls)
        begun = next((index for index, (one, two) in enumerate(pairs) if one != two), 0)
        sites: dict[Place, list[Site]] = {}
        for index in range(begun, len(played.calls)):
            sites.setdefault(played.place(index), []).append(played.calls[index][0])
        chosen = {
            site: kinds
            for place, found in sites.items()
            for site in (found[0], found[-1])
            if (kinds := self._kinds(place))
        }
        self._known |= set(sites)
        return [Cell(played.scene, site, kind) for site in sorted(chosen) for kind in chosen[site]]

    def _kinds(self, place: Place) -> tuple[Kind, ...]:
        if place not in self._known:
            return KINDS
        if self._thorough:
            return FEW
        on_the_way_back = place[2] == "rolling_back" and place[0] not in TELLERS
        if place not in self._struck or on_the_way_back:
            return (FEW[next(self._turns) % len(FEW)],)
        return ()


def twice_cells(played: Played, *, thorough: bool = True) -> Iterator[Cell]:
    """The first and the last run of each function, repeated at once and later; or one of each."""
    for function, count in played.runs:
        if played.scene.disturbance and function in TELLERS:
            continue
        numbers = sorted({1, count})
        repeated = [Invocation(function, n, later) for n in numbers for later in (False, True)]
        for again in repeated if thorough else (repeated[0], repeated[-1]):
            yield Cell(played.scene, again, "twice")


def all_cells(
    plain: list[Played], disturbed: list[Played], *, thorough: bool = False
) -> list[Cell]:
    """The whole matrix."""
    chooser = Chooser(plain, thorough=thorough)
    found = [cell for played in plain for cell in plain_cells(played)]
    found += [cell for played in disturbed for cell in chooser.cells(played)]
    found += [cell for played in plain for cell in twice_cells(played)]
    for played in disturbed:
        found += twice_cells(played, thorough=thorough)
    return found


def run(cell: Cell) -> Outcome:
    """Play one cell."""
    if isinstance(cell.at, Invocation):
        call, may = (cell.at.function, "the whole run"), May()
        verdict, account = _run_twice(cell.scene, cell.at)
    else:
        assert cell.kind != "twice"
        call = cell.at.caller, f"{cell.at.service}.{cell.at.operation}"
        may = allowed(call, cell.kind)
        faults = one(cell.at, cell.kind)
        verdict, account = cell.scene.play(
            faults, may_hold=may.hold, may_leave=may.leave, then=too_many_pages
        )
    outcome = _outcome(cell.scene, verdict)
    return Outcome(
        name=f"{cell.scene.name}: {cell.kind} at {cell.at}",
        outcome=outcome,
        broken=(
            *may.unlisted(verdict.broken, outcome),
            *_unlisted_end(cell.scene, outcome, may, account),
        ),
        call=call,
        kind=cell.kind,
        scene=cell.scene.name,
    )


def _outcome(scene: Scene, verdict: Verdict) -> str:
    """The phase it ended in; `STAYED` for a version that should have gone back and serves on."""
    stayed = scene.what.ends == "back" and verdict.outcome == "retired"
    return STAYED if stayed else verdict.outcome


def _unlisted_end(scene: Scene, outcome: str, may: May, account: Account) -> list[str]:
    """What speaks against an end: the published list does not have it, or nobody was paged."""
    usual, *others = OUTCOMES[scene.what.ends]
    if outcome == usual or (may.turn and outcome in others):
        return []
    if outcome in others:
        return [f"it ended {outcome} instead of {usual}: a fault that passes must change nothing"]
    if outcome not in may.ends:
        return [f"it ended {outcome}, which is neither its end nor on the list"]
    paged = any(subject.startswith("PAGE") for subject in account.topic.told)
    return [] if paged else [f"it ended {outcome}, and nobody was paged"]


def _run_twice(scene: Scene, run: Invocation) -> tuple[Verdict, Account]:
    def repeat(account: Account) -> None:
        account.again[run.function, run.number] = run.seconds

    return scene.play(also=repeat, then=too_many_pages)
