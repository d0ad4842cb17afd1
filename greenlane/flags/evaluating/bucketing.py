"""Which bucket a user falls into: a salted hash, the same on every machine and in every process.

A bucket is a whole number from 0 to 99,999: one is 0.001 percent. Whoever is in bucket `b` has a
feature as long as its rollout is above `b`, so a rising rollout only ever adds users, a falling
one takes the latest first, and stopping and starting again gives it to the same ones.

Golden vectors are published in docs/flags.md, and tested.
"""

from __future__ import annotations

try:
    # hashlib loads OpenSSL first, which a lookup has no use for.
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False  # `typing` itself costs more to import than all of this module
if TYPE_CHECKING:
    from collections.abc import Callable

BUCKETS = 100_000
"""How many buckets there are: percent times 1,000."""


def prefix_of(salt: str) -> bytes:
    """What is hashed before the key. The length keeps `a` + `bc` and `ab` + `c` apart."""
    encoded = salt.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(4, "big") + encoded


def placer(salt: str, of: int = BUCKETS) -> Callable[[str], int]:
    """A function from a key to its bucket under a salt.

    The first 64 bits of BLAKE2b of the salt's length, the salt and the key, as a fraction of
    2**64, times the number of buckets, rounded down. A remainder would favour the low buckets;
    this favours none by more than 1 in 10**14.

    Args:
        salt: what keeps one flag's users apart from another's.
        of: how many buckets.
    """
    prefix, number = prefix_of(salt), int.from_bytes

    def place(key: str) -> int:
        try:
            encoded = key.encode()
        except UnicodeEncodeError:  # half of a character, as JSON allows it
            encoded = key.encode("utf-8", "surrogatepass")
        return number(blake2b(prefix + encoded, digest_size=8).digest(), "big") * of >> 64

    return place


def bucket(salt: str, key: str) -> int:
    """The bucket of a key under a salt; see `placer`."""
    return placer(salt)(key)
