"""Where files of Regions are kept: in the table of deployments of the coordinator's Region.

Layout (`pk`, `sk`)::

    REGIONS              <service>            the file that rollouts go by now
    REGIONS#<service>    CONFIG#<version>     every file that was applied

The file is kept as it was written, with its comments, so that an earlier one can be applied again.
"""

from datetime import datetime
from typing import NamedTuple

from greenlane.deployments.storing.shapes import OnceWhy, StoredModel
from greenlane.deployments.storing.table import DynamoTable
from greenlane.deployments.storing.versions import put_version
from greenlane.errors import InvalidInput, Refused
from greenlane.problems import suggest
from greenlane.regions.declaring.document import read_regions

ALL = "REGIONS"


class StoredRegions(StoredModel):
    """A file of Regions as it was applied, and by whom.

    Args:
        service: whose rollouts go by it.
        version: counts from 1.
        source: the file, as text.
        file: what it was called.
        applied_by: who applied it.
        applied_at: when, UTC.
        reason: what they said of it.
    """

    schema_version: int = 1
    service: str
    version: int
    source: str
    file: str
    applied_by: str
    applied_at: datetime
    reason: OnceWhy = ""

    @property
    def named(self) -> str:
        """What messages call it."""
        return f"{self.file} (version {self.version} of the regions of {self.service})"


class KeptRegions(NamedTuple):
    """A file as it is kept, and whether that is otherwise than before."""

    stored: StoredRegions
    changed: bool


class RegionsStore(DynamoTable):
    """The files of Regions in DynamoDB."""

    def services(self) -> list[str]:
        """The services that one was applied for, sorted."""
        return [item["sk"]["S"] for item in self.query(ALL, "", projection="sk")]

    def regions(self, service: str) -> StoredRegions:
        """The file that a service's rollouts go by now.

        Raises:
            Refused: none was applied for it here.
        """
        found = self._find(ALL, service)
        if found is None:
            raise Refused(self._none_for(service))
        return found

    def version(self, service: str, version: int) -> StoredRegions:
        """A file that was applied once.

        Raises:
            Refused: there is no such version.
        """
        found = self._find(f"{ALL}#{service}", f"CONFIG#{version:06d}")
        if found is None:
            now = self.regions(service)
            raise Refused(
                f"the regions of {service} have no version {version}; there are 1 to {now.version}"
            )
        return found

    def versions(self, service: str) -> list[StoredRegions]:
        """Every file that was applied for a service, newest first.

        Raises:
            Refused: none was.
        """
        kept = self.query(f"{ALL}#{service}", "CONFIG#", newest_first=True)
        if not kept:
            raise Refused(self._none_for(service))
        return [StoredRegions.model_validate_json(item["body"]["S"]) for item in kept]

    def put(
        self, service: str, source: str, file: str, *, by: str, at: datetime, reason: str = ""
    ) -> KeptRegions:
        """Keep a correct file as the next version; one that says the same keeps its version.

        Raises:
            Refused: somebody else applied one in the same moment.
        """
        before = self._find(ALL, service)
        if before is not None and _same(before, source, file):
            return KeptRegions(before, changed=False)
        stored = StoredRegions(
            service=service,
            version=1 if before is None else before.version + 1,
            source=source,
            file=file,
            applied_by=by,
            applied_at=at,
            reason=reason,
        )
        if not put_version(self, ALL, ALL, service, stored, stored.version):
            way_out = "somebody else applied them in the same moment; look, and apply again"
            raise Refused(f"the regions of {service}: {way_out}")
        return KeptRegions(stored, changed=True)

    def _find(self, pk: str, sk: str) -> StoredRegions | None:
        item = self.get(pk, sk)
        return None if item is None else StoredRegions.model_validate_json(item["body"]["S"])

    def _none_for(self, service: str) -> str:
        known = self.services()
        others = f" (applied are those of {', '.join(known)})" if known else ""
        near = suggest(service, known)
        return (
            f"no regions were applied for {service}{others}{near}; apply a file with "
            f"`greenlane apply -f FILE --service {service}` in their home, or name it with --file"
        )


def _same(before: StoredRegions, source: str, file: str) -> bool:
    """Whether two files say the same, whatever their comments and layout."""
    if before.source == source:
        return True
    try:
        kept = read_regions(before.source, before.file)
    except InvalidInput:  # an earlier version of Greenlane took it
        return False
    return kept == read_regions(source, file)
