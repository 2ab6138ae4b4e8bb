"""What holds for every test of the suite's commands."""

from collections.abc import Iterator

import pytest
from slurm import private


@pytest.fixture(autouse=True, scope="session")
def _few_steps_evaluated_again() -> Iterator[None]:
    """Fewer than usual, so that an energy ledger takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mdsuite.ledger.KEPT", (60,))
        yield


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Slurm of its own, for a file of tests."""
    with private(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment
