"""Newton's method in a box, for a function whose second derivatives are exact and cheap."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from fitspec.errors import ConvergenceError, InferenceError
from fitspec.histfactory.interpolation import Array
from fitspec.histfactory.likelihood import Data, Expansion, Flags, Likelihood

MAX_STEPS = 200
TOLERANCE = 1e-10
"""On the estimated distance to the minimum, in -2 ln L. A test statistic q that should be 0 is then
known to 1e-10, its root, which p-values are made of, to 1e-5."""

STALLED = 1e-6
"""Where rounding, or patience, allows no further descent, this distance is near enough."""

NEAR = 0.1
"""Below this distance the Hessian hardly changes any more: it is kept, and only gradients are
computed, ..."""

GOOD = 0.1
"""... as long as each step leaves less than this part of the distance."""

SAME = 0.1
"""Where a step with a positive Hessian ends as near as this to a minimum that is known (squared, in
standard deviations), and says how deep that is as well as this, in -2 ln L, it leads there."""

PATIENCE = 3
"""Steps for which the scoring matrix may stand in for a Hessian that is not positive, if it leads
far enough: it costs nothing, but converges slowly."""

MAX_SETS = 20
"""Attempts at finding which parameters a step takes to their bounds."""


@dataclass(frozen=True, slots=True)
class Found:
    """A minimum of -ln L in a box.

    Attributes:
        theta: (P,) parameters.
        nll: -ln L.
        edm: estimated distance to the minimum, in -2 ln L.
        iterations: Newton steps.
        at_bounds: (P,) parameters that a bound keeps from going further down.
        known: index of the known minimum that is ahead; the rest tells where the descent ended.
    """

    theta: Array
    nll: float
    edm: float
    iterations: int
    at_bounds: Flags
    known: int | None = None


def minimise(
    likelihood: Likelihood,
    data: Data,
    start: Array,
    fixed: Flags,
    known: Sequence[Array] = (),
) -> Found:
    """The minimum of -ln L that is downhill from a starting point.

    Args:
        likelihood: the function; its model has the bounds.
        data: observed or Asimov data.
        start: (P,) starting values; those outside their bounds are moved to them.
        fixed: (P,) parameters that keep their starting values, whatever their bounds.
        known: (P,) parameters of minima found before, with the same parameters fixed; a descent
            that is about to reach one of them ends early.

    Raises:
        InferenceError: the function is not finite at the start.
        ConvergenceError: there is no minimum to be found from there.
    """
    descent = _Descent(likelihood, data, start, fixed, known)
    found = descent.run()
    if descent.forked:  # at a kink that led down on both sides: try the other one
        with contextlib.suppress(ConvergenceError):  # one minimum is enough
            other = _Descent(likelihood, data, start, fixed, known, leftward=True).run()
            found = min(found, other, key=lambda minimum: minimum.nll)
    return found


@dataclass(frozen=True, slots=True)
class _Newton:
    """A Newton step.

    Attributes:
        step: (P,) to the minimum of the quadratic model inside the box, or near it.
        edm: how far down that is, in -2 ln L.
        free: (P,) parameters that no bound holds at the start of the step.
        cholesky: of the Hessian of the free parameters.
        definite: it is the Hessian; else something positive in its place.
        inside: the box did not shorten the step.
    """

    step: Array
    edm: float
    free: Flags
    cholesky: Array
    definite: bool
    inside: bool


class _Descent:
    """One minimisation: where it is, and what is known there."""

    def __init__(
        self,
        likelihood: Likelihood,
        data: Data,
        start: Array,
        fixed: Flags,
        known: Sequence[Array],
        leftward: bool = False,
    ) -> None:
        p = likelihood.model.parameters
        self._likelihood = likelihood
        self._data = data
        self._low = np.where(fixed, start, p.low)
        self._high = np.where(fixed, start, p.high)
        self._kinks = likelihood.kinked & ~fixed
        self._known = [] if self._kinks.any() else known
        self._leftward = leftward
        self.forked = False
        self._patience = PATIENCE
        self._steps = 0
        self._move(np.minimum(np.maximum(start, self._low), self._high))
        if not math.isfinite(self._value):
            raise InferenceError(f"the likelihood is 0 at the start{self._impossible_bin()}")
        self._noise = 1e-14 * (abs(self._value) + abs(data.constant))

    def run(self) -> Found:
        """Down to the minimum."""
        while self._steps < MAX_STEPS:
            newton = self._newton()
            if newton.edm <= TOLERANCE:
                if newton.definite or not self._leave_saddle(newton.free):
                    return self._found(newton.edm)
                continue
            if (known := self._ahead(newton)) is not None:
                return replace(self._found(newton.edm), known=known)
            before = self._steps
            if newton.edm <= NEAR and newton.definite and newton.inside and not self._kinks.any():
                edm = self._coast(newton)
                if edm <= TOLERANCE:
                    return self._found(edm)
            if self._steps == before and not self._search(newton):
                if newton.edm <= STALLED:
                    return self._found(newton.edm)
                raise ConvergenceError(f"no way down at a distance of {newton.edm:.2g}")
        if newton.edm <= STALLED:  # along the curved floor of a valley
            return self._found(newton.edm)
        raise ConvergenceError(f"no minimum after {MAX_STEPS} steps")

    def _impossible_bin(self) -> str:
        """Which events can never be, if that is why the likelihood is 0."""
        expected = self._likelihood.expected(self._theta)
        for b in np.flatnonzero((self._data.main > 0) & (expected <= 0)):
            channel, index = self._likelihood.model.bins[int(b)]
            return (
                f": bin {index} of channel {channel!r} has {self._data.main[b]:g} events, "
                f"but expects {expected[b]:.3g}"
            )
        return ""

    def _found(self, edm: float) -> Found:
        held = ~self._free(self._gradient) & (self._low < self._high)
        at_bounds = held & ((self._theta == self._low) | (self._theta == self._high))
        return Found(self._theta, self._value, max(edm, 0.0), self._steps, at_bounds)

    def _ahead(self, newton: _Newton) -> int | None:
        """Index of the known minimum that a step leads to, if there is no doubt about it."""
        if not newton.definite:
            return None
        target = self._theta + newton.step
        for index, known in enumerate(self._known):
            away = target - known
            if away @ self._scoring @ away <= SAME:  # the Hessian may be negative along bounds
                drop = 2 * (self._value - self._likelihood.value(known, self._data))
                if abs(drop - newton.edm) <= SAME:
                    return index
        return None

    def _move(self, theta: Array, expansion: Expansion | None = None) -> None:
        """Go to a point, and expand the function there in the piece that leads down."""
        self._theta = theta
        self._piece = self._low, self._high
        right = theta >= 0
        if self._kinks.any():
            right = self._choose_sides(theta, right)
            expansion = None
        e = expansion or self._likelihood.expand(theta, self._data, right)
        self._value, self._gradient, self._hessian, self._scoring = e

    def _choose_sides(self, theta: Array, right: Flags) -> Flags:
        """The side of each kink that leads down; the box ends at the kinks."""
        low, high = self._piece
        at = self._kinks & (theta == 0)
        if at.any():
            ahead = self._likelihood.expand(theta, self._data, right).gradient < 0
            behind = self._likelihood.expand(theta, self._data, right & ~at).gradient > 0
            self.forked |= bool((at & ahead & behind).any())
            leftward = behind if self._leftward else behind & ~ahead
            right &= ~(at & leftward)
            high = np.where(at & ~ahead & ~behind, 0.0, high)
        low = np.where(self._kinks & right, np.maximum(low, 0.0), low)
        high = np.where(self._kinks & ~right, np.minimum(high, 0.0), high)
        self._piece = low, high
        return right

    def _newton(self) -> _Newton:
        free = self._free(self._gradient)
        matrix, cholesky, definite = self._factorise(free)
        step = _solve(cholesky, -self._gradient, free)
        low, high = (bound - self._theta for bound in self._piece)
        inside = bool(((low <= step) & (step <= high)).all())
        if not inside:
            step = _into_box(step, matrix, self._gradient, low, high, free)
        edm = -float(self._gradient @ step)
        return _Newton(step, edm, free, cholesky, definite, inside)

    def _free(self, gradient: Array) -> Flags:
        low, high = self._piece
        held = ((self._theta <= low) & (gradient >= 0)) | ((self._theta >= high) & (gradient <= 0))
        return ~held

    def _factorise(self, free: Flags) -> tuple[Array, Array, bool]:
        """The Hessian, or something positive in its place, and its Cholesky factor."""
        factor = _cholesky(self._hessian, free)
        if factor is not None:
            return self._hessian, factor, True
        stand_in = self._scoring if self._patience else _made_positive(self._hessian, free)
        shift, matrix = 0.0, stand_in
        while (factor := _cholesky(matrix, free)) is None:
            shift = max(100 * shift, 1e-10 * float(stand_in.diagonal().max()), 1e-10)
            matrix = stand_in + shift * np.eye(len(free))
        return matrix, factor, False

    def _search(self, newton: _Newton) -> bool:
        """Along a step, as far as leads down; False if nowhere does."""
        t = 1.0
        while t > 1e-10:
            trial = _moved(self._theta, t * newton.step, *self._piece)
            ceiling = self._value - 1e-4 * t * newton.edm
            value, expansion = self._likelihood.expand_below(ceiling, trial, self._data)
            if expansion is not None:
                self._steps += 1
                if not newton.definite:
                    self._patience = self._patience - 1 if t == 1 and self._patience else 0
                self._move(trial, expansion)
                return True
            above = value - self._value + t * newton.edm
            t *= min(max(t * newton.edm / (2 * above), 0.1), 0.5)
        return False

    def _coast(self, newton: _Newton) -> float:
        """Steps with one Hessian as long as they are good; returns the distance that is left.

        What the gradients tell about the Hessian corrects it (L-BFGS: Nocedal 1980).
        """
        step, edm = newton.step, newton.edm
        history: list[tuple[Array, Array]] = []
        while ((trial := self._theta + step) >= self._low).all() and (trial <= self._high).all():
            value, gradient = self._likelihood.slope(trial, self._data)
            if not value <= self._value + self._noise:
                break
            history.append((step, gradient - self._gradient))
            self._steps += 1
            self._theta, self._value, self._gradient = trial, value, gradient
            if (self._free(gradient) != newton.free).any():
                break
            step = _corrected(newton, gradient, history)
            before, edm = edm, -float(gradient @ step)
            if edm <= TOLERANCE:
                return edm
            if edm > GOOD * before:
                break
        self._move(self._theta)
        return math.inf

    def _leave_saddle(self, free: Flags) -> bool:
        """Down along the most negative curvature, where no gradient leads; False without one."""
        rows = np.flatnonzero(free)
        curvatures, directions = np.linalg.eigh(self._hessian[np.ix_(rows, rows)])
        if curvatures[0] >= -1e-9 * max(1.0, curvatures[-1]):
            return False
        direction = np.zeros_like(self._theta)
        direction[rows] = directions[:, 0]
        for t in 0.5 ** np.arange(20):
            ways = [np.clip(self._theta + s * direction, *self._piece) for s in (t, -t)]
            values = [self._likelihood.value(way, self._data) for way in ways]
            best = int(np.argmin(values))
            if values[best] < self._value - self._noise:
                self._steps += 1
                self._move(ways[best])
                return True
        return False


def _moved(theta: Array, step: Array, low: Array, high: Array) -> Array:
    """Where a step leads; what it takes to its bound is exactly there, whatever the rounding."""
    moved = np.where(step <= low - theta, low, theta + step)
    moved = np.where(step >= high - theta, high, moved)
    return np.minimum(np.maximum(moved, low), high)


def _corrected(newton: _Newton, gradient: Array, history: list[tuple[Array, Array]]) -> Array:
    """A Newton step with a Hessian that fits the changes of the gradient along earlier steps."""
    rest, parts = -gradient, []
    for step, change in reversed(history):
        part = (step @ rest) / (step @ change)
        parts.append(part)
        rest -= part * change
    corrected = _solve(newton.cholesky, rest, newton.free)
    for (step, change), part in zip(history, reversed(parts), strict=True):
        corrected += (part - (change @ corrected) / (step @ change)) * step
    return corrected


def _into_box(
    step: Array, matrix: Array, gradient: Array, low: Array, high: Array, free: Flags
) -> Array:
    """The best step inside a box, of a quadratic model whose best step anywhere leads out of it.

    Those that leave the box stop at its sides, the others make the best of it, and who is at a side
    for no good leaves it again (primal-dual active sets: Hintermueller, Ito, Kunisch 2002).
    """
    at_low, at_high = free & (step < low), free & (step > high)
    for _ in range(MAX_SETS):
        loose = free & ~at_low & ~at_high
        block = _cholesky(matrix, loose)
        if block is None:  # a principal block of a positive matrix, but for rounding
            break
        step = np.where(at_low, low, np.where(at_high, high, 0.0))
        step += _solve(block, -(gradient + matrix @ step), loose)
        push = gradient + matrix @ step
        before = at_low, at_high
        at_low = (loose & (step < low)) | (at_low & (push >= 0))
        at_high = (loose & (step > high)) | (at_high & (push <= 0))
        if (at_low == before[0]).all() and (at_high == before[1]).all():
            return step
    # each on its own: not far, but down
    scale = np.where(free, matrix.diagonal(), 1.0)
    return np.where(free, np.clip(-gradient / scale, low, high), 0.0)


def _made_positive(matrix: Array, free: Flags) -> Array:
    """The free parameters' block with its negative eigenvalues made positive, and no tiny ones."""
    rows = np.flatnonzero(free)
    curvatures, directions = np.linalg.eigh(matrix[np.ix_(rows, rows)])
    curvatures = np.abs(curvatures)
    curvatures = np.maximum(curvatures, 1e-10 * max(1.0, curvatures.max()))
    positive = np.eye(len(free))
    positive[np.ix_(rows, rows)] = (directions * curvatures) @ directions.T
    return positive


def _cholesky(matrix: Array, free: Flags) -> Array | None:
    """Factor of the free parameters' block, the rest being a unit matrix; None if not positive."""
    block = matrix.copy()
    held = (~free).nonzero()[0]
    if held.size:
        block[held] = 0
        block[:, held] = 0
        block[held, held] = 1
    factor, failed = dpotrf(block.T, lower=True, overwrite_a=True, clean=False)
    return None if failed else factor


def _solve(cholesky: Array, right_side: Array, free: Flags) -> Array:
    """Solution for the free parameters, 0 for the others."""
    solution: Array = dpotrs(cholesky, right_side * free, lower=True, overwrite_b=True)[0]
    return solution
