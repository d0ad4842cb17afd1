"""A manifest and its SQL files as one document, known by its checksum."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from greenlane.errors import InvalidInput
from greenlane.migrations.declaring.model import Manifest, MigrationFile
from greenlane.migrations.sql.parsing import Script, parse_script
from greenlane.migrations.validating.model import Phase
from greenlane.problems import suggest


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceFile(_Part):
    r"""An SQL file. Args: text with `\n` for line ends, without a byte order mark."""

    file: str
    text: str


@dataclass(frozen=True)
class Migration:
    """One file of a plan: what the manifest says of it, and its script."""

    declared: MigrationFile
    script: Script

    @property
    def id(self) -> str:
        """The file's name without `.sql`."""
        return self.declared.id

    @property
    def phase(self) -> Phase:
        """When it runs."""
        return self.declared.phase

    @property
    def min_app(self) -> str | None:
        """Of a contract: the first version that does not need the old shape."""
        return self.declared.min_app


class Plan(_Part):
    """Everything that a run needs to know of migrations, and nothing of the database.

    Args:
        manifest: what is to run.
        sources: the SQL files, in the manifest's order.
        old_app_queries: the text of that file, if there is one.
    """

    manifest: Manifest
    sources: tuple[SourceFile, ...]
    old_app_queries: str | None = None

    @property
    def sha256(self) -> str:
        """Of all of it. What has its default counts for nothing, so new keys change no checksum."""
        return hashlib.sha256(self.model_dump_json(exclude_defaults=True).encode()).hexdigest()

    @cached_property
    def migrations(self) -> tuple[Migration, ...]:
        """In their order.

        Raises:
            InvalidSql: a file is not SQL; `load_plan` has seen to it that this does not happen.
        """
        return tuple(
            Migration(declared, parse_script(source.text, source.file))
            for declared, source in zip(self.manifest.files, self.sources, strict=True)
        )

    @property
    def scripts(self) -> tuple[Script, ...]:
        """Of all files, in their order."""
        return tuple(one.script for one in self.migrations)

    def of(self, phase: Phase) -> tuple[Migration, ...]:
        """The files of one phase, in their order."""
        return tuple(one for one in self.migrations if one.phase == phase)

    def migration(self, name: str) -> Migration:
        """The file of that id.

        Raises:
            InvalidInput: there is none.
        """
        for one in self.migrations:
            if one.id == name:
                return one
        near = suggest(name, [one.id for one in self.migrations])
        raise InvalidInput("migration", name, f"there is no such file{near}")

    def smoke_queries(self) -> tuple[str, ...]:
        """The statements of `old_app_queries`."""
        text = self.old_app_queries or ""
        return tuple(one.text for one in parse_script(text, "old_app_queries").statements)

    def continues(self, at: int) -> bool:
        """Whether a file runs right after the one before it, with no version starting in between.

        Then nothing uses yet what the other one made.
        """
        if not at:
            return False
        one, other = self.manifest.files[at - 1], self.manifest.files[at]
        return (one.phase, one.release) == (other.phase, other.release)


def read_plan(text: str, sha256: str) -> Plan:
    """A plan from its JSON, as `Plan.model_dump_json` writes it.

    Args:
        text: the JSON.
        sha256: the checksum by which it was asked for.

    Raises:
        InvalidInput: it is another plan than that.
    """
    plan = Plan.model_validate_json(text)
    if plan.sha256 != sha256:
        raise InvalidInput("plan", sha256, f"the document has the checksum {plan.sha256}")
    return plan
