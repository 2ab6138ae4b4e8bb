"""A check must find its defect and leave the clean twin alone, and what was not run must not count as either."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from mdsuite.campaign import read_campaign
from mdsuite.errors import InputError
from mdsuite.execution.stop import Stop
from mdsuite.judgement.causes import Cause
from mdsuite.judgement.criteria import read_profile
from mdsuite.judgement.judge import Verdict, judge
from mdsuite.plan import make_plan
from mdsuite.selftest import carry_out as carrying_out
from mdsuite.selftest.carry_out import carry_out
from mdsuite.selftest.confusion import Confusion
from mdsuite.selftest.instruments import COLUMNS, OTHER, Bench, family_of, with_wrong_masses
from mdsuite.selftest.report import write_selftest_report
from mdsuite.selftest.trial import AGREE, CLEAN, REVERSE, RUN, STATIC, Case, Finding, Sign, choose
from mdsuite_driver.zoo import ANIMALS

QUICK = ("symmetry", "locality")
FOUND_BY = {
    "external_field": "symmetry",
    "not_permutation_invariant": "symmetry",
    "curl": "symmetry",
    "not_extensive": "locality",
}


def bench(folder: Path) -> Bench:
    return Bench(output=folder, static=read_profile("static"), stop=Stop())


def quietly(_what: str) -> None:
    """Hear nothing."""


def cause(name: str) -> Cause:
    return Cause(name=name, share=None, evidence=(), remedy="", sentence="")


def says(sign: Sign, *causes: str, column: str = "gradient") -> Finding:
    return Finding(signs={column: sign}, causes=tuple(cause(name) for name in causes))


def tried(
    folder: Path, patch: pytest.MonkeyPatch, findings: Mapping[str, Finding], *names: str, runs: bool = True
) -> Confusion:
    """A selftest whose instruments say what they are told to, by the name of the case."""

    def instrument(setup, _folder, _bench) -> Finding:
        case = next(case for case in cases if case.setup == setup)
        return findings.get(case.name, findings["else"])

    clean = [Case(animal=ANIMALS[CLEAN], host=host, strength=0.0) for host in ("argon", "student")]
    chosen = list(choose(names, all_hosts=False))
    cases = [*chosen, *clean]
    patch.setattr(carrying_out, "INSTRUMENTS", dict.fromkeys((STATIC, RUN, AGREE, REVERSE), instrument))
    return carry_out(chosen, bench(folder), runs=runs, jobs=2, told=quietly)


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Confusion, Path]:
    """Four defects and their twin, before two families of checks, through drivers."""
    folder = tmp_path_factory.mktemp("selftest")
    cases = [case for case in choose(list(FOUND_BY), all_hosts=True) if case.host == "argon"]
    quick = dataclasses.replace(bench(folder), checks=QUICK)
    confusion = carry_out(cases, quick, runs=False, jobs=2, told=quietly)
    return confusion, write_selftest_report(confusion, folder)


@pytest.mark.parametrize("name", FOUND_BY)
def test_a_defect_is_flagged_by_its_check(reduced: tuple[Confusion, Path], name: str):
    trial = next(each for each in reduced[0].defects if each.case.animal.name == name)
    assert FOUND_BY[name] in trial.flagged, trial.signs


def test_the_clean_twins_are_one_and_not_suspected(reduced: tuple[Confusion, Path]):
    (host,) = reduced[0].hosts
    assert host.case.name == "clean-argon"
    assert set(host.signs.values()) == {Sign.SILENT}, host.signs


def test_the_selftest_approves_what_finds_all_and_suspects_none(reduced: tuple[Confusion, Path]):
    assert reduced[0].verdict is Verdict.APPROVED


def test_results_have_the_keys_of_other_results(reduced: tuple[Confusion, Path]):
    content = json.loads(reduced[1].with_name("results.json").read_text())
    keys = {"schema", "verdict", "model", "engine", "provenance", "measurements", "verdicts", "causes", "runs"}
    assert keys < set(content)
    assert content["schema"] == "mdsuite-results/1"
    assert content["verdict"] == "APPROVED"


def test_the_report_has_a_row_for_every_defect_and_clean_model(reduced: tuple[Confusion, Path]):
    rows = [line.split("|")[1].strip() for line in reduced[1].read_text().splitlines() if line.startswith("| ")]
    assert {*FOUND_BY, "clean-argon"} <= set(rows)


def test_nothing_is_left_but_logs_reports_and_what_was_measured(reduced: tuple[Confusion, Path]):
    left = {path.name for path in reduced[1].parent.rglob("*") if path.is_file()}
    kept = {
        name
        for name in left
        if name.endswith(tuple(f"-{check}{again}.json" for check in QUICK for again in ("", "-again")))
    }
    assert left - kept == {"report.md", "report.html", "results.json", "driver.log"}


@pytest.mark.parametrize(
    ("of_defect", "of_twin", "verdict"),
    [
        (Sign.FLAGGED, Sign.SILENT, Verdict.APPROVED),
        (Sign.SILENT, Sign.SILENT, Verdict.NOT_RECOMMENDED),
        (Sign.UNDECIDED, Sign.SILENT, Verdict.NOT_RECOMMENDED),
        (Sign.FLAGGED, Sign.FLAGGED, Verdict.NOT_RECOMMENDED),
        (Sign.FLAGGED, Sign.NOT_RUN, Verdict.INCONCLUSIVE),
        (Sign.NOT_RUN, Sign.SILENT, Verdict.INCONCLUSIVE),
        (Sign.NOT_RUN, Sign.FLAGGED, Verdict.NOT_RECOMMENDED),
    ],
)
def test_a_missed_defect_and_a_false_alarm_condemn_and_a_gap_leaves_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_defect: Sign, of_twin: Sign, verdict: Verdict
):
    findings = {"scaled-argon": says(of_defect), "else": says(of_twin)}
    assert tried(tmp_path, monkeypatch, findings, "scaled").verdict is verdict


def test_a_trial_that_raises_is_not_run_and_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def instrument(setup, _folder, _bench) -> Finding:
        if "scaled?strength=0.001" in setup.source:
            raise RuntimeError("no such luck")
        return says(Sign.FLAGGED if "strength=0.0&" not in setup.source else Sign.SILENT)

    monkeypatch.setattr(carrying_out, "INSTRUMENTS", {STATIC: instrument})
    cases = list(choose(["scaled", "curl"], all_hosts=False))
    confusion = carry_out(cases, bench(tmp_path), runs=True, jobs=2, told=quietly)
    scaled, curl = confusion.defects
    assert scaled.not_run and "no such luck" in scaled.reason
    assert curl.flagged == ("gradient",)


def test_a_defect_that_needs_a_trajectory_is_not_run_without_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    confusion = tried(tmp_path, monkeypatch, {"else": says(Sign.SILENT)}, "wrong_potential", runs=False)
    assert confusion.defects[0].signs[RUN] is Sign.NOT_RUN
    assert confusion.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("other", "verdict"), [(Sign.FLAGGED, Verdict.APPROVED), (Sign.SILENT, Verdict.INCONCLUSIVE)])
def test_a_check_that_a_model_refuses_leaves_open_only_what_no_other_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: Sign, verdict: Verdict
):
    refused = judge(read_profile("static").criteria[0], None, {})
    finding = Finding(signs={"gradient": other, "curl": Sign.NOT_RUN}, judged=(refused,))
    findings = {"scaled-argon": finding, "else": says(Sign.SILENT)}
    assert tried(tmp_path, monkeypatch, findings, "scaled").verdict is verdict


def test_a_stop_leaves_the_rest_not_run(tmp_path: Path):
    stop = Stop()
    stop.request()
    stopped = dataclasses.replace(bench(tmp_path), stop=stop)
    confusion = carry_out(list(choose(["scaled"], all_hosts=False)), stopped, runs=True, jobs=1, told=quietly)
    assert all(each.not_run for each in confusion.trials)


def test_a_cause_that_is_not_the_defects_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    findings = {
        "scaled-argon": says(Sign.FLAGGED, "unit_mismatch", "not_extensive"),
        "curl-argon": says(Sign.FLAGGED, "precision"),
        "else": says(Sign.SILENT),
    }
    confusion = tried(tmp_path, monkeypatch, findings, "scaled", "curl")
    assert [each.wrong_causes for each in confusion.misnamed] == [("not_extensive",), ("precision",)]
    assert [each.case.name for each in confusion.unnamed] == ["curl-argon"]


def test_a_twin_that_answers_otherwise_than_its_host_is_examined_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(carrying_out, "answers_as_clean", lambda _case, _host: False)
    confusion = tried(tmp_path, monkeypatch, {"else": says(Sign.SILENT)}, "scaled", "curl")
    assert [each.case.name for each in confusion.hosts] == ["scaled-argon-twin", "curl-argon-twin"]


def test_an_unknown_defect_is_refused_with_the_nearest_one():
    with pytest.raises(InputError, match="did you mean truncated"):
        list(choose(["trunkated"], all_hosts=False))


def test_every_defect_has_a_twin_and_every_host_can_be_had():
    cases = list(choose([], all_hosts=True))
    assert {(case.animal.name, case.host) for case in cases if case.twin} == {
        (animal.name, host) for animal in ANIMALS.values() for host in animal.hosts if animal.name != CLEAN
    }
    assert all(a.name != b.name for a, b in itertools.combinations(cases, 2))


def test_what_static_checks_cannot_find_is_put_before_trajectories():
    instruments = {case.animal.name: case.instruments for case in choose([], all_hosts=False)}
    assert instruments["wrong_potential"] == (STATIC, RUN)
    assert instruments["wrong_mass"] == (RUN, AGREE)
    assert instruments["scaled"] == (STATIC,)


def test_only_the_engine_under_test_has_wrong_masses():
    names = {"models": [ANIMALS[CLEAN].source("argon")], "structures": ["argon"], "engine": ["ase", "lammps"]}
    plan = make_plan(read_campaign(None, names, dynamics={"replicas": 1}))
    (right,), (wrong,) = plan.comparisons, with_wrong_masses(plan, 2.0).comparisons
    assert wrong.reference == right.reference
    assert (wrong.others[0].start.masses == 2.0 * right.others[0].start.masses).all()


def test_every_static_criterion_belongs_to_a_family():
    families = {each.measurement: family_of(each.measurement) for each in read_profile("static").criteria}
    assert set(families.values()) <= set(COLUMNS) - {OTHER}, families


@pytest.mark.slow
def test_the_whole_zoo_is_found_and_no_twin_is_suspected(tmp_path: Path):
    confusion = carry_out(list(choose([], all_hosts=False)), bench(tmp_path), runs=True, jobs=2, told=quietly)
    write_selftest_report(confusion, tmp_path)
    assert confusion.verdict is Verdict.APPROVED, (tmp_path / "report.md").read_text()
