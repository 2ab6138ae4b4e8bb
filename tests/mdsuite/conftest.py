"""What holds for every test of the suite's commands."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _few_steps_evaluated_again() -> Iterator[None]:
    """Fewer than usual, so that an energy ledger takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mdsuite.ledger.KEPT", (60,))
        yield
