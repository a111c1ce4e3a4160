"""One house for all stories that break nothing; those that kill build their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.stories.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as house:
        yield house
