"""The distributions that tests need, from `math` alone, far tails included.

Each tail is computed from its own side, never as 1 minus the other, so a p-value of 1e-199 is
that and not 0. Binomial, beta, gamma and t tails are continued fractions (Lentz) behind a factor
in Loader's form (2000, "Fast and accurate computation of binomial probabilities"), which does not
cancel for large counts. Why not a library: ADR 0028, with what each is checked against.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

_STANDARD = NormalDist()
_SQRT_2 = math.sqrt(2)
_TINY = 1e-300
_CLOSE = 1e-15
_MOST_TERMS = 200_000

LARGE_DEGREES = 2_000
"""From which Hill's transformation of t is exact to 1e-9 even at p = 1e-100, and faster."""


def normal_sf(z: float) -> float:
    """P(Z > z)."""
    return 0.5 * math.erfc(z / _SQRT_2)


def normal_density(z: float) -> float:
    """The density at z."""
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def normal_isf(tail: float) -> float:
    """The z with P(Z > z) = tail (Wichura's AS 241)."""
    if tail <= 0.0:
        return math.inf
    if tail >= 1.0:
        return -math.inf
    return -_STANDARD.inv_cdf(tail)


def two_sided(z: float) -> float:
    """P(|Z| > |z|): the level of a critical value, and its p-value."""
    return math.erfc(abs(z) / _SQRT_2)


def _stirling_rest(n: float) -> float:
    """Log of n! over Stirling's formula."""
    if n < 16:
        if n == 0:
            return math.inf
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi)
    square = n * n
    inner = 1 / 1260 - (1 / 1680 - (1 / 1188 - 691 / 360360 / square) / square) / square
    return (1 / 12 - (1 / 360 - inner / square) / square) / n


def _deviance(x: float, expected: float) -> float:
    """The sum x log(x / expected) + expected - x, also where both are close."""
    if abs(x - expected) < 0.1 * (x + expected):
        part = (x - expected) / (x + expected)
        found = (x - expected) * part
        term, power = 2 * x * part, part * part
        for step in range(1, 1000):
            term *= power
            larger = found + term / (2 * step + 1)
            if larger == found:
                break
            found = larger
        return found
    return x * math.log(x / expected) + expected - x


def log_binomial(x: float, y: float, p: float, q: float) -> float:
    """Log of the binomial probability of x successes and y failures, p + q = 1; any x, y >= 0."""
    if x == 0:
        return y * (math.log(q) if q < 0.5 else math.log1p(-p))
    if y == 0:
        return x * (math.log(p) if p < 0.5 else math.log1p(-q))
    n = x + y
    rest = _stirling_rest(n) - _stirling_rest(x) - _stirling_rest(y)
    away = _deviance(x, n * p) + _deviance(y, n * q)
    return rest - away + 0.5 * (math.log(n / y) - math.log(2 * math.pi * x))


def beta_tails(a: float, b: float, x: float, y: float) -> tuple[float, float]:
    """P(X < x) and P(X > x) of a Beta(a, b).

    Args:
        a: above 0.
        b: above 0.
        x: 0 to 1.
        y: 1 - x, given apart so that an x close to 1 loses nothing.
    """
    if x <= 0.0:
        return 0.0, 1.0
    if y <= 0.0:
        return 1.0, 0.0
    # 1 / B(a, b) is a b / (a + b) times what the binomial has in front of x^a y^b.
    log_front = log_binomial(a, b, x, y) + math.log(a) + math.log(b) - math.log(a + b)
    if x * (a + b + 2) < a + 1:
        lower = math.exp(log_front) / a * _beta_fraction(a, b, x)
        return min(1.0, lower), max(0.0, 1 - lower)
    upper = math.exp(log_front) / b * _beta_fraction(b, a, y)
    return max(0.0, 1 - upper), min(1.0, upper)


def _beta_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    found = d
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + term * d
            d = 1 / (d if abs(d) > _TINY else _TINY)
            c = 1 + term / c
            c = c if abs(c) > _TINY else _TINY
            found *= c * d
        if abs(c * d - 1) < _CLOSE:
            return found
    raise ArithmeticError(f"the beta distribution of {a}, {b} at {x} did not converge")


def gamma_tails(a: float, x: float) -> tuple[float, float]:
    """P(X < x) and P(X > x) of a Gamma(a) with scale 1; a > 0."""
    if x <= 0.0:
        return 0.0, 1.0
    if math.isinf(x):
        return 1.0, 0.0
    log_front = -_stirling_rest(a) - _deviance(a, x) - 0.5 * math.log(2 * math.pi * a)
    front = math.exp(log_front)  # x^a e^-x / Gamma(a + 1)
    if x < a + 1:
        term = total = 1.0
        step = a
        while term > total * _CLOSE:
            step += 1
            term *= x / step
            total += term
        lower = front * total
        return min(1.0, lower), max(0.0, 1 - lower)
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    found = d
    for m in range(1, _MOST_TERMS):
        term = -m * (m - a)
        b += 2
        d = term * d + b
        d = 1 / (d if abs(d) > _TINY else _TINY)
        c = b + term / c
        c = c if abs(c) > _TINY else _TINY
        found *= c * d
        if abs(c * d - 1) < _CLOSE:
            upper = front * a * found
            return max(0.0, 1 - upper), min(1.0, upper)
    raise ArithmeticError(f"the gamma distribution of {a} at {x} did not converge")


def chi_square_sf(x: float, degrees: int) -> float:
    """P(chi-square > x)."""
    return gamma_tails(degrees / 2, x / 2)[1]


def t_sf(t: float, degrees: float) -> float:
    """P(T > t) of Student's t; for large degrees by Hill's transformation (CACM 395, 1970)."""
    if t < 0:
        return 1 - t_sf(-t, degrees)
    square = t * t
    if degrees < LARGE_DEGREES:
        whole = degrees + square
        return 0.5 * beta_tails(degrees / 2, 0.5, degrees / whole, square / whole)[0]
    a = degrees - 0.5
    b = 48 * a * a
    y = a * math.log1p(square / degrees)
    high = (((-0.4 * y - 3.3) * y - 24) * y - 85.5) / (0.8 * y * y + 100 + b)
    return normal_sf(((high + y + 3) / b + 1) * math.sqrt(y))


def t_isf(tail: float, degrees: float) -> float:
    """The t with P(T > t) = tail, for a tail below one half."""
    if tail <= 0.0:
        return math.inf
    z = normal_isf(tail)
    if math.isinf(degrees):
        return z
    target = math.log(tail)

    def distance(t: float) -> float:
        found = t_sf(t, degrees)
        return (math.log(found) if found > 0 else -800.0) - target

    # Newton on the logarithm, from the first term of Fisher's expansion; close at once, mostly.
    t = z + (z * z * z + z) / (4 * degrees)
    for _ in range(8):
        found = t_sf(t, degrees)
        if found <= 0 or t <= 0:
            break
        move = (math.log(found) - target) * found / t_density(t, degrees)
        t += move
        if abs(move) < 1e-11 * t:
            return t
    low, high = 0.0, max(z, 1.0)
    while t_sf(high, degrees) > tail:
        low, high = high, high * 2
    return root(distance, low, high)


def t_density(t: float, degrees: float) -> float:
    """The density of Student's t at t."""
    log_front = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    power = (degrees + 1) / 2 * math.log1p(t * t / degrees)
    return math.exp(log_front - power) / math.sqrt(math.pi * degrees)


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a continuous function crosses 0 between two points (Chandrupatla 1997).

    When both ends are on one side of 0, the end that is closer to it.
    """
    a, b = high, low
    fa, fb = function(a), function(b)
    if fa == 0.0 or fb == 0.0 or (fa > 0) == (fb > 0):
        return a if abs(fa) < abs(fb) else b
    c, fc, step = a, fa, 0.5
    for _ in range(200):
        x = a + step * (b - a)
        fx = function(x)
        if (fx > 0) == (fa > 0):
            c, fc = a, fa
        else:
            c, b, fc, fb = b, a, fb, fa
        a, fa = x, fx
        best = a if abs(fa) < abs(fb) else b
        close = 4e-16 * abs(best) + 1e-300
        share = close / abs(b - c) if b != c else 1.0
        if share > 0.5 or fa == 0.0 or a == b:
            return best
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        if phi * phi < xi and (1 - phi) * (1 - phi) < 1 - xi:
            step = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (
                fc - fb
            )
        else:
            step = 0.5
        step = min(max(step, share), 1 - share)
    return a if abs(fa) < abs(fb) else b


def beta_isf(tail: float, a: float, b: float, *, upper: bool) -> float:
    """The x with P(X > x) = tail (upper) or P(X < x) = tail of a Beta(a, b)."""
    return 1 / (1 + math.exp(-_beta_logit(tail, a, b, upper)))


def beta_odds(tail: float, a: float, b: float, *, upper: bool) -> float:
    """The odds x / (1 - x) of that x, which say more than x where it is close to 1."""
    return math.exp(_beta_logit(tail, a, b, upper))


def _beta_logit(tail: float, a: float, b: float, upper: bool) -> float:
    side, target = (1 if upper else 0), math.log(tail)

    def distance(logit: float) -> float:
        y = 1 / (1 + math.exp(logit))
        found = beta_tails(a, b, 1 / (1 + math.exp(-logit)), y)[side]
        return (math.log(found) if found > 0 else -800.0) - target

    return root(distance, -700.0, 700.0)


@lru_cache(maxsize=64)
def legendre(count: int) -> tuple[tuple[float, float], ...]:
    """Nodes and weights of Gauss and Legendre on -1 to 1."""
    found = []
    for number in range(1, (count + 1) // 2 + 1):
        x = math.cos(math.pi * (number - 0.25) / (count + 0.5))
        slope = 1.0
        for _ in range(100):
            before, value = 1.0, x
            for degree in range(2, count + 1):
                before, value = (
                    value,
                    ((2 * degree - 1) * x * value - (degree - 1) * before) / degree,
                )
            slope = count * (x * value - before) / (x * x - 1)
            move = value / slope
            x -= move
            if abs(move) < 1e-15:
                break
        found.append((x, 2 / ((1 - x * x) * slope * slope)))
    mirrored = [(-x, weight) for x, weight in found[: count // 2]]
    return (*found, *reversed(mirrored))
