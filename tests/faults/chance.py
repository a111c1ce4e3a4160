"""One source of chance: everything random in a fault run follows from its seed, not from the time of day."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")


class Chance:
    """`fork(name)` gives each purpose a sequence of its own, so that a new draw here moves none there."""

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._rng = Random(str(seed))

    def fork(self, name: str) -> Chance:
        return Chance(f"{self.seed}:{name}")

    def number(self) -> int:
        """For a seed that must be an integer."""
        return self._rng.randrange(2**31)

    def between(self, low: float, high: float) -> float:
        return self._rng.uniform(low, high)

    def happens(self, probability: float) -> bool:
        return self._rng.random() < probability

    def one(self, of: Sequence[T]) -> T:
        return self._rng.choice(of)

    def weighted(self, weights: Mapping[T, float]) -> T:
        return self._rng.choices(list(weights), weights=list(weights.values()))[0]

    def cut(self, data: bytes) -> bytes:
        """A piece of it from its beginning."""
        return data[: self._rng.randrange(len(data) + 1)]
