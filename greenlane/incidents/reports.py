"""The Python API of reports: the stored one, or a new one when none is stored.

>>> reports = Reports(Greenlane.connect(region="eu-west-1").connection)
>>> found = reports.get("claude-manager", by="jo")
>>> found.text("md").splitlines()[0]
'# claude-manager: 1.4.2 was rolled back'

A new report is made with the caller's own permissions, and stored if they allow it.
"""

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from greenlane.deployments.connection import Connection
from greenlane.deployments.model import HistoryEvent, StoredModel
from greenlane.errors import InvalidInput, Refused
from greenlane.incidents.report_compose import compose
from greenlane.incidents.report_gather import Sources, gather
from greenlane.incidents.report_model import Report
from greenlane.incidents.report_place import Format, bucket_name, console_url, report_keys
from greenlane.incidents.report_store import RENDERERS, read_report, write_report
from greenlane.incidents.reporting import REPORT_WRITTEN

_MAKE_IT = "`greenlane report {} --deployment {}` makes one with log messages, and stores it"


class FoundReport(StoredModel):
    """A report, and where it is.

    `url` is the page's place in the AWS console. `made` is True when it was made for this call;
    `stored` is False when it is nowhere else than here. `problems` say why not.
    """

    service: str
    deployment_id: str
    bucket: str
    keys: dict[Format, str]
    url: str
    made: bool
    stored: bool
    problems: tuple[str, ...] = ()
    report: Report

    def text(self, format: Format) -> str:
        """The report as it is, or would be, stored."""
        return RENDERERS[format](self.report)


class Reports:
    """Reports of the services of one account and Region.

    Args:
        connection: the account and Region, such as `Greenlane.connect().connection`.
        quickly: a report that is made for the call is not stored, and does without the log
            messages, for which one waits up to 20 seconds.
    """

    def __init__(self, connection: Connection, *, quickly: bool = False) -> None:
        """See the class."""
        self._connection, self._quickly = connection, quickly

    def get(
        self,
        service: str,
        deployment_id: str | None = None,
        *,
        refresh: bool = False,
        by: str = "unknown",
    ) -> FoundReport:
        """The report of a deployment, by default of the service's latest.

        Args:
            service: the service's name.
            deployment_id: whose report.
            refresh: make it anew, although one is stored.
            by: who asks, for the history.

        Raises:
            UnknownService: the service was never applied.
            UnknownDeployment: the service has no such deployment, or it was refused.
            Refused: the service was never deployed.
            InvalidInput: the deployment is another service's.
        """
        deployment_id = deployment_id or self._latest(service)
        plan = self._connection.store.plan(deployment_id)
        if plan.service != service:
            raise InvalidInput("deployment", deployment_id, f"it is a deployment of {plan.service}")
        problems: list[str] = []
        stored = None if refresh else self._stored(service, deployment_id, problems)
        if stored is not None:
            return self._found(stored, made=False, stored=True)
        report = compose(gather(self._sources(), deployment_id))
        # One that is under way has no report yet that anybody should find later.
        ended = report.outcome != "under_way"
        if self._quickly and ended:
            problems.append(f"nothing is stored yet; {_MAKE_IT.format(service, deployment_id)}")
        kept = ended and not self._quickly and self._keep(report, by, problems)
        return self._found(report, made=True, stored=kept, problems=problems)

    def _latest(self, service: str) -> str:
        found = self._connection.store.deployments(service, 1)
        if not found:
            self._connection.store.get_config(service)
            raise Refused(f"{service} was never deployed; there is nothing to report")
        return found[0].deployment_id

    def _sources(self) -> Sources:
        client = self._connection.client
        return Sources(
            store=self._connection.store,
            ecs=client("ecs"),
            elbv2=client("elbv2"),
            cloudwatch=client("cloudwatch"),
            logs=None if self._quickly else client("logs"),
            clock=self._connection.clock,
        )

    def _found(
        self, report: Report, *, made: bool, stored: bool, problems: list[str] | None = None
    ) -> FoundReport:
        keys = report_keys(report.service, report.deployment_id)
        return FoundReport(
            service=report.service,
            deployment_id=report.deployment_id,
            bucket=self._bucket,
            keys=keys,
            url=console_url(self._bucket, self._connection.region, keys["html"]),
            made=made,
            stored=stored,
            problems=tuple(problems or ()),
            report=report,
        )

    @property
    def _bucket(self) -> str:
        return bucket_name(self._connection.account, self._connection.region)

    def _stored(self, service: str, deployment_id: str, problems: list[str]) -> Report | None:
        """The stored report; None when there is none, or none that this version can read."""
        key = report_keys(service, deployment_id)["json"]
        text: list[str | None] = []

        def read() -> None:
            s3, account = self._connection.client("s3"), self._connection.account
            text.append(read_report(s3, self._bucket, account, key))

        if not _worked(read, "no stored report was read", problems) or not text[0]:
            return None
        try:
            return Report.model_validate_json(text[0])
        except ValidationError as error:
            problems.append(f"the stored report was not understood: {error.error_count()} errors")
            return None

    def _keep(self, report: Report, by: str, problems: list[str]) -> bool:
        """Store the report, and note that in the history and the list, as far as that works."""
        store = self._connection.store

        def write() -> None:
            s3, account = self._connection.client("s3"), self._connection.account
            write_report(s3, self._bucket, account, report)

        def note() -> None:
            keys = report_keys(report.service, report.deployment_id)
            detail = {"bucket": self._bucket, "keys": dict(keys)}
            now = self._connection.clock.now()
            event = HistoryEvent(at=now, kind=REPORT_WRITTEN, actor=by, detail=detail)
            store.append(report.deployment_id, event)
            for summary in store.deployments(report.service, 200):
                if summary.deployment_id == report.deployment_id:
                    store.put_report(summary, keys["json"])

        if not _worked(write, "the report was not stored", problems):
            return False
        _worked(note, "the history does not know of it", problems)
        return True


def _worked(do: Callable[[], None], otherwise: str, problems: list[str]) -> bool:
    """Whether a call to AWS worked; a problem with its reason if not."""
    try:
        do()
    except (ClientError, BotoCoreError) as error:
        problems.append(f"{otherwise}: {error}")
        return False
    return True
