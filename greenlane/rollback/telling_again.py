"""A page that reached nobody is told again, while what it says still stands.

The reconciler looks each minute. What a channel has taken is not sent to it again.
"""

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from greenlane.deployments.model import Record
from greenlane.deployments.phases import Phase
from greenlane.deployments.storing.journal import note_best_effort, publish
from greenlane.errors import UnknownService
from greenlane.logs import logger
from greenlane.people.delivery import call_again
from greenlane.people.ledger import Ledger
from greenlane.people.pages import FIRST_AGAIN, MOST_AGAIN, THEN_AGAIN, Page, Pages, went_out
from greenlane.people.routing import waking
from greenlane.rollback.closing import tell_hold
from greenlane.runtime import Runtime

_STANDS: dict[Phase, str] = {
    Phase.HELD: "held",
    Phase.ROLLING_BACK: "still_trying",
    Phase.PROMOTED: "still_trying",
    Phase.ROLLED_BACK: "rolled_back",
}
"""The kind of page that still says how it is, by the phase."""

OVER_FOR = (MOST_AGAIN + 2) * THEN_AGAIN
"""What went back stays so until the next deployment, maybe for weeks; by then a look is in vain."""

MAIL = "mail"


def tell_again(runtime: Runtime, record: Record) -> None:
    """Tell the record's page again if it reached nobody who would wake up. It never raises.

    Args:
        runtime: the clients and the clock.
        record: as it was read.
    """
    kind = _STANDS.get(record.phase)
    if kind is None:
        return
    over = record.phase is Phase.ROLLED_BACK
    if over and runtime.clock.now() >= record.updated_at + OVER_FOR:
        return
    try:
        page = _page(runtime, record, kind)
        if page is not None:
            _tell_page_again(runtime, record, page)
        elif kind == "held" and runtime.clock.now() >= record.updated_at + FIRST_AGAIN:
            # Whoever wrote the hold died before it told anybody, or could not keep the page.
            tell_hold(runtime, record)
    except (ClientError, BotoCoreError, UnknownService, ValidationError) as error:
        logger.error("not told again", service=record.service, error=str(error))


def _page(runtime: Runtime, record: Record, kind: str) -> Page | None:
    """The page to look at: that of this very hold, or else the latest of its kind."""
    pages = Pages(runtime.store)
    if kind == "held" and record.rollback_execution is not None:
        return pages.of(record.deployment_id, kind, record.rollback_execution)
    return pages.latest(record.deployment_id, kind)


def _tell_page_again(runtime: Runtime, record: Record, page: Page) -> None:
    now = runtime.clock.now()
    if now < page.due or page.news.again >= MOST_AGAIN:
        return
    owed = _owed(runtime, record, page)
    if not owed:
        return
    taken = Pages(runtime.store).take(page, now)
    if taken is None:
        return
    note_best_effort(
        runtime,
        record.deployment_id,
        "told again",
        news=taken.news.kind,
        time=f"{taken.news.again} of at most {MOST_AGAIN}",
        unreached=owed,
    )
    if not page.published and publish(runtime, taken.news):
        went_out(runtime.store, taken)
        return
    # Not by the topic: the mail it sends has gone out, and the topic may be what is broken.
    call_again(runtime.relay, taken.news, runtime.settings.topic_arn)


def _owed(runtime: Runtime, record: Record, page: Page) -> list[str]:
    """Who should have been woken and was not, by the configuration as it is now."""
    wake = waking(runtime.store.get_config(record.service).config)
    reached = Ledger(runtime.store).reached(page.news) if wake else set()
    owed = [channel for channel in wake if channel not in reached]
    return owed if page.published else [MAIL, *owed]
