"""`greenlane evidence`: what tests and checks say about an image."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from greenlane.cli.session import Session

if TYPE_CHECKING:
    from greenlane.health.evidence import Evidence

app = typer.Typer(
    help="Evidence about an image, by digest: what success_criteria.security asks for.",
    no_args_is_help=True,
)

Service = Annotated[str, typer.Argument(help="The service's name.", show_default=False)]


class EvidenceStatus(StrEnum):
    """What the evidence says."""

    PASS = "pass"
    FAIL = "fail"


@app.command()
def post(
    context: typer.Context,
    service: Service,
    name: Annotated[
        str,
        typer.Argument(
            help="As success_criteria.security names it, such as security_tests.",
            show_default=False,
        ),
    ],
    status: Annotated[EvidenceStatus, typer.Option(help="What was found.")],
    digest: Annotated[str, typer.Option(help="Of the image: sha256:...")],
    issuer: Annotated[str, typer.Option(help="Who vouches for it, such as a pipeline.")],
    expires: Annotated[str, typer.Option(help="How long it counts, such as 7d.")],
    url: Annotated[str | None, typer.Option(help="Where to read more.")] = None,
) -> None:
    """Add a result about one image of a service.

    Nothing that was posted is ever changed: the newest result that has not expired counts.
    """
    session: Session = context.obj
    posted = session.client.evidence.post(
        service,
        name,
        status=status.value,
        digest=digest,
        issuer=issuer,
        expires=expires,
        url=url,
        by=session.person,
    )
    session.emit(posted)
    until = f"{posted.expires_at:%Y-%m-%d %H:%M} UTC"
    session.say(f"{service}: {name} {posted.status} for {_short(digest)}, until {until}")


@app.command("list")
def list_all(
    context: typer.Context,
    service: Service,
    digest: Annotated[str | None, typer.Option(help="Of one image only: sha256:...")] = None,
) -> None:
    """List what was posted about a service's images, newest first."""
    session: Session = context.obj
    found = session.client.evidence.posted(service, digest)
    session.emit(found)
    for line in _lines(found):
        session.say(line)


def _lines(found: Sequence["Evidence"]) -> list[str]:
    if not found:
        return ["nothing was posted yet"]
    rows = [("posted", "image", "name", "status", "issuer", "expires", "url")]
    rows += [
        (
            f"{one.posted_at:%Y-%m-%d %H:%M}",
            _short(one.digest),
            one.name,
            one.status,
            one.issuer,
            f"{one.expires_at:%Y-%m-%d %H:%M}",
            one.url or "",
        )
        for one in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _short(digest: str) -> str:
    """Enough of a digest to tell images apart."""
    return digest[: len("sha256:") + 12]
