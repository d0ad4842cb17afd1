"""Text of others, made safe for a terminal.

Reasons, names and messages come from other people and other machines. An escape character in one
of them could clear the screen, forge a line or set the window's title; it is shown instead as the
picture that Unicode has for it.
"""

_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"}
_DELETE = {0x7F: 0x2421}
_C1 = dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
_DIRECTIONS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)
"""Marks that reverse the order in which a line is read."""

_VISIBLE = _PICTURES | _DELETE | _C1 | _DIRECTIONS


def visible(text: str) -> str:
    """The text with each character that would command a terminal made visible."""
    return text.translate(_VISIBLE)
