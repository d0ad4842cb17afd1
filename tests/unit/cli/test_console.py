"""What people print cannot command the terminal of whom it is shown to."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.table import Table
from rich.text import Text

from greenlane.cli.console import SafeConsole
from greenlane.cli.visible import visible

ATTACK = "good\x1b[2J\x1b]0;all is well\x07 \x9b31m\r\b\u202eevil"


def printed(*things: object) -> str:
    file = io.StringIO()
    console = SafeConsole(file=file, highlight=False, soft_wrap=True, width=200)
    for thing in things:
        console.print(thing, markup=False)
    return file.getvalue()


def test_escape_characters_of_others_are_shown_not_obeyed() -> None:
    table = Table("why")
    table.add_row(ATTACK)

    for shown in (printed(ATTACK), printed(Text(ATTACK)), printed(table)):
        assert "good␛[2J␛]0;all is well" in shown
        assert not set(shown) & set("\x1b\x07\x9b\r\b\u202e")


def test_colours_of_our_own_remain() -> None:
    file = io.StringIO()
    console = SafeConsole(file=file, force_terminal=True, color_system="standard", width=80)

    console.print("[red]bad[/red]")

    assert file.getvalue() == "\x1b[31mbad\x1b[0m\n"


def test_a_live_view_still_moves_the_cursor() -> None:
    file = io.StringIO()
    console = SafeConsole(file=file, force_terminal=True, width=80)

    with Live("one\ntwo", console=console, auto_refresh=False) as live:
        live.update("three", refresh=True)

    assert "\x1b[1A" in file.getvalue()


@given(st.text())
def test_visible_text_has_no_command_and_keeps_its_length(text: str) -> None:
    shown = visible(text)

    assert len(shown) == len(text)
    assert all(one in "\n\t" or (ord(one) >= 0x20 and not 0x7F <= ord(one) < 0xA0) for one in shown)
    assert visible(shown) == shown
