"""What planning a change gives."""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from greenlane.errors import InvalidInput
from greenlane.migrations.validating.model import PHASES, Phase


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NotPlannable(InvalidInput):
    """A change that Greenlane does not plan over phases, with what to do first."""


class PlannedFile(_Part):
    """One SQL file.

    Args:
        phase: when it runs.
        name: of the file, without number and `.sql`, such as `expand_people_full_name`.
        sql: its statements, each with its semicolon, and comments that say why.
        comment: what the file is for, in one line.
        accept: rules that would stop it and that it is right about all the same; a person still
            has to accept them in the manifest.
    """

    phase: Phase
    name: str
    sql: str
    comment: str
    accept: tuple[str, ...] = ()


class PlannedChange(_Part):
    """A change over all phases.

    Args:
        files: in their order.
        questions: what a person has to answer before it can run.
        notes: what a person should know.
        old_app_queries: queries of the version that is live, which must work until the contract.
    """

    files: tuple[PlannedFile, ...]
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    old_app_queries: tuple[str, ...] = ()


class Draft:
    """A change in the making: statements by phase, in their order.

    Args:
        what: what it is about, for the names of its files: `people_full_name`.
        comments: by phase, what its file is for.
    """

    def __init__(self, what: str, comments: dict[Phase, str]) -> None:
        """See the class."""
        self._what = what
        self._comments = comments
        self._parts: dict[Phase, list[str]] = {phase: [] for phase in PHASES}
        self._accepted: dict[Phase, tuple[str, ...]] = dict.fromkeys(PHASES, ())
        self.notes: list[str] = []
        self.questions: list[str] = []

    def add(self, phase: Phase, *statements: str, why: str = "") -> None:
        """The next statements of a phase, without semicolons; `why` stands above the first."""
        for number, sql in enumerate(statements):
            comment = f"-- {why}\n" if why and not number else ""
            self._parts[phase].append(f"{comment}{sql};\n")

    def accept(self, phase: Phase, *rules: str) -> None:
        """The file of that phase does what these rules stop, in a way that is safe."""
        self._accepted[phase] += rules

    def take(self, change: PlannedChange) -> None:
        """All of another change, after what is there."""
        for file in change.files:
            self._parts[file.phase].append(file.sql)
            self.accept(file.phase, *file.accept)
        self.notes += change.notes
        self.questions += change.questions

    def planned(self, queries: Sequence[str] = ()) -> PlannedChange:
        """All of it, with a file for each phase that has statements."""
        files = [
            PlannedFile(
                phase=phase,
                name=f"{phase}_{self._what}",
                sql="\n".join(parts),
                comment=self._comments[phase],
                accept=tuple(dict.fromkeys(self._accepted[phase])),
            )
            for phase, parts in self._parts.items()
            if parts
        ]
        return PlannedChange(
            files=tuple(files),
            questions=tuple(self.questions),
            notes=tuple(self.notes),
            old_app_queries=tuple(queries),
        )


def file_text(file: PlannedFile) -> str:
    """The file as it is written, with what it is for above it."""
    return f"-- {file.comment}\n\n{file.sql}"


def numbered(files: Iterable[PlannedFile], first: int) -> list[tuple[str, PlannedFile]]:
    """Files with the names that a folder gives them: `0007_expand_people_full_name.sql`."""
    return [(f"{number:04}_{one.name}.sql", one) for number, one in enumerate(files, start=first)]
