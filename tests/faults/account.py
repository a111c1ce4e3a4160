"""A history sorted by what its lines are and whose they are, and the shape of what is found wrong in it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.history import Line


class Violation(NamedTuple):
    invariant: str
    prediction: str | None
    said: str


@dataclass(slots=True)
class Account:
    """The lines of a history by what they are, and those of each prediction in order."""

    by_what: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))
    of: dict[str, list[Line]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def load(cls, lines: Iterable[Line]) -> Account:
        account = cls()
        for line in lines:
            account.by_what[line["what"]].append(line)
            name = line.get("id") if line["what"] == "prediction" else line.get("prediction")
            if name:
                account.of[name].append(line)
        return account

    @property
    def predictions(self) -> list[Line]:
        return self.by_what["prediction"]

    @property
    def hooks(self) -> list[str]:
        return [name for run in self.by_what["run"] for name in run["hooks"]]

    @property
    def forgot(self) -> bool:
        """The ledger was lost and rebuilt: an event is then told in new words, under its old id."""
        return any(line.get("forgets") for line in self.by_what["fault"])

    @property
    def calm_at(self) -> float:
        return max((line["at"] for line in self.by_what["calm"]), default=0.0)

    def found(self, id_: str) -> Line:
        """The ledger's object of a prediction, empty when it has none."""
        dumps = [line["found"] for line in self.of[id_] if line["what"] == "ledger"]
        return dumps[-1] or {} if dumps else {}
