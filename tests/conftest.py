"""The order of files: those that take minutes first, so that workers which share them come to their ends together."""

import pytest

LONGEST = (
    "test_run",
    "test_check",
    "test_selftest",
    "test_compare",
    "test_faults",
    "test_agree",
    "test_engines",
    "test_export",
    "test_campaigns",
    "test_coordination",
    "test_batch",
    "test_fitting",
    "test_gather",
    "test_drivers",
    "test_evaluation",
    "test_parsl",
    "test_page",
    "test_watching",
    "test_formats",
    "test_api",
    "test_packaging",
    "test_house",
    "test_kills",
    "test_soak",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files, and leave the order within each."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(LONGEST)))
