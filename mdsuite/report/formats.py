"""Results for other programs: a gate of a continuous integration, a spreadsheet, a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mdsuite.api import Results
from mdsuite.files import whole

Json = Mapping[str, Any]


def write_formats(output: Path, formats: Collection[str]) -> list[Path]:
    """Write what results.json in a folder holds in other formats; returns the paths.

    junit : results.junit.xml, a test case for each verdict: failed, in error where it is inconclusive, or skipped
    csv, parquet : measurements.csv and .parquet, a row for each measurement
    """
    results = json.loads((output / "results.json").read_text())
    return [FORMATS[each](results, output) for each in dict.fromkeys(formats)]


def _junit(results: Json, output: Path) -> Path:
    suites = ElementTree.Element("testsuites", name="mdsuite")
    for model in dict.fromkeys(each["subject"].get("model", "") for each in results["verdicts"]):
        of_model = [each for each in results["verdicts"] if each["subject"].get("model", "") == model]
        counts = {word: sum(each["outcome"] == outcome for each in of_model) for outcome, word in _WORDS.items()}
        told = {"name": model, "tests": str(len(of_model)), **{word: str(n) for word, n in counts.items()}}
        suite = ElementTree.SubElement(suites, "testsuite", told)
        for each in of_model:
            _add_case(suite, each, model, results)
    path = output / "results.junit.xml"
    with whole(path) as temporary:
        ElementTree.ElementTree(suites).write(temporary, encoding="utf-8", xml_declaration=True)
    return path


_WORDS = {"fail": "failures", "inconclusive": "errors", "not run": "skipped"}  # as counted, and as told
_TAGS = {"fail": "failure", "inconclusive": "error", "not run": "skipped"}


def _add_case(suite: ElementTree.Element, verdict: Json, model: str, results: Json) -> None:
    where = ", ".join(str(value) for key, value in verdict["subject"].items() if key not in ("model", "run"))
    name = f"{verdict['criterion']} ({where})" if where else verdict["criterion"]
    case = ElementTree.SubElement(suite, "testcase", classname=f"mdsuite.{model}", name=name)
    if verdict["outcome"] not in _TAGS:
        return
    tag, low_high = _TAGS[verdict["outcome"]], verdict["limit"]
    found = [each for each in results["measurements"] if _measured(each, verdict)]
    said = "; ".join(f"{each['value']} {each['unit']}, interval {each['ci']}" for each in found) or "not measured"
    message = f"{verdict['measurement']} {verdict['outcome']}: {said}; limit {low_high} {verdict['unit']}"
    ElementTree.SubElement(case, tag, message=message).text = f"source: {verdict['source']}"


def _measured(measurement: Json, verdict: Json) -> bool:
    names = {"energy_drift": "mean_drift", "conserved_drift": "mean_drift"}
    wanted = verdict["measurement"], names.get(verdict["measurement"])
    return measurement["name"] in wanted and measurement["subject"] == verdict["subject"]


def _csv(results: Json, output: Path) -> Path:
    path = output / "measurements.csv"
    with whole(path) as temporary:
        Results(output, results).measurements.to_csv(temporary, index=False)
    return path


def _parquet(results: Json, output: Path) -> Path:
    path = output / "measurements.parquet"
    with whole(path) as temporary:
        Results(output, results).measurements.to_parquet(temporary, index=False)
    return path


FORMATS: dict[str, Callable[[Json, Path], Path]] = {"junit": _junit, "csv": _csv, "parquet": _parquet}
