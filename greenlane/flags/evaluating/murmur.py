"""flagd's bucketing, for flags that were imported from it: murmur3 of 32 bits.

Nothing here is loaded unless a flag says that it is bucketed so.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable

_MASK = 0xFFFFFFFF


def murmur3(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0, without a sign."""
    state, whole = 0, len(data) & ~3
    for at in range(0, whole, 4):
        state ^= _mixed(int.from_bytes(data[at : at + 4], "little"))
        state = (state << 13 | state >> 19) & _MASK
        state = (state * 5 + 0xE6546B64) & _MASK
    if len(data) > whole:
        state ^= _mixed(int.from_bytes(data[whole:], "little"))
    state ^= len(data)
    state = ((state ^ state >> 16) * 0x85EBCA6B) & _MASK
    state = ((state ^ state >> 13) * 0xC2B2AE35) & _MASK
    return state ^ state >> 16


def _mixed(block: int) -> int:
    block = (block * 0xCC9E2D51) & _MASK
    block = (block << 15 | block >> 17) & _MASK
    return (block * 0x1B873593) & _MASK


def cbor_text(text: str) -> bytes:
    """A text in canonical CBOR (RFC 8949)."""
    encoded = text.encode("utf-8", "surrogatepass")
    size = len(encoded)
    if size < 24:
        return bytes((0x60 | size,)) + encoded
    for mark, width in ((0x78, 1), (0x79, 2), (0x7A, 4)):
        if size < 1 << 8 * width:
            return bytes((mark,)) + size.to_bytes(width, "big") + encoded
    raise ValueError("a text of more than 4 GiB")


def placer(how: str, salt: str, of: int) -> Callable[[str], int]:
    """A function from a key to its bucket, as flagd has it.

    Args:
        how: `flagd` hashes `[salt, key]` and `flagd-text` the text `salt + key`, both in canonical
            CBOR, as flagd does now; `flagd-v2` hashes the bytes of the text, as it did before.
        salt: the flag's key, unless the flag says otherwise.
        of: the sum of the weights.

    Raises:
        ValueError: there is no such bucketing.
    """
    if how == "flagd":
        pair = b"\x82" + cbor_text(salt)
        return lambda key: murmur3(pair + cbor_text(key)) * of >> 32
    if how == "flagd-text":
        return lambda key: murmur3(cbor_text(salt + key)) * of >> 32
    if how == "flagd-v2":
        return lambda key: murmur3((salt + key).encode("utf-8", "surrogatepass")) * of >> 32
    raise ValueError(f"there is no bucketing {how!r}")
