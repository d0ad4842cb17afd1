"""What the workflow must know of a plan: its files without their SQL, so without the parser."""

import json
from collections.abc import Collection, Iterable
from itertools import takewhile
from typing import Any, Literal

from greenlane.migrations.declaring.model import Manifest, MigrationFile
from greenlane.migrations.guarding.plans import fetch_plan
from greenlane.migrations.guarding.runtime import MigrationRuntime
from greenlane.migrations.validating.model import PHASES, Phase


class PlanOutline:
    """The manifest of a plan.

    Args:
        manifest: as the plan has it.
    """

    def __init__(self, manifest: Manifest) -> None:
        """See the class."""
        self._manifest = manifest

    @property
    def database(self) -> str:
        """For which database it is."""
        return self._manifest.database

    @property
    def owner(self) -> str:
        """Whom to ask about it."""
        return self._manifest.owner

    @property
    def notify(self) -> Literal["all", "failures", "none"]:
        """Of which ends people are told."""
        return self._manifest.notify

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases that it has files of, in their order."""
        return tuple(phase for phase in PHASES if self.of(phase))

    def of(self, phase: Phase) -> tuple[MigrationFile, ...]:
        """The files of a phase, in their order."""
        return tuple(self._of(phase))

    def before(self, ids: Collection[str]) -> tuple[MigrationFile, ...]:
        """The files that stand before the first of these, in their order."""
        return tuple(takewhile(lambda one: one.id not in ids, self._manifest.files))

    def _of(self, phase: Phase) -> Iterable[MigrationFile]:
        return (one for one in self._manifest.files if one.phase == phase)


def read_outline(runtime: MigrationRuntime, sha256: str) -> PlanOutline:
    """The outline of the plan with this checksum, which the functions with the parser check.

    Raises:
        InvalidInput: there is no such plan.
    """
    return outline_in(runtime.s3, runtime.settings.migrations_bucket, runtime.account, sha256)


def outline_in(s3: Any, bucket: str, account: str, sha256: str) -> PlanOutline:
    """The same for whoever has no runtime of migrations.

    Args:
        s3: the client.
        bucket: where plans are.
        account: whose bucket it must be.
        sha256: the plan's checksum.

    Raises:
        InvalidInput: there is no such plan.
    """
    manifest = json.loads(fetch_plan(s3, bucket, account, sha256))["manifest"]
    return PlanOutline(Manifest.model_validate(manifest, extra="ignore"))
