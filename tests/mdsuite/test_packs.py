"""Runs in packs: the same trajectories but for rounding, to the same bytes whenever they are taken up again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from campaigns import command, results
from factories import run as run_of
from factories import start
from processes import contents, process_of, when_recorded

from mdsuite import packing
from mdsuite.batch.shard import Shard
from mdsuite.engines.recording import n_segments, segment_path
from mdsuite.execution.local import Advance, run_all
from mdsuite.execution.packs import in_packs
from mdsuite.execution.stop import Stop
from mdsuite.execution.supervise import Outcome, Status
from mdsuite.packs import Member, alike, members_of, pack_of, packable
from mdsuite.plan import run_folder
from mdsuite.runs import Coupling, Run, write_run
from mdsuite.structures import read_structure
from mdsuite_driver.bundled import inputs_folder
from mdsuite_driver.models.batch import Batch
from mdsuite_driver.models.load import load

STUDENT = "painn-ultra-tiny"
LIMIT = 6.0  # eV/Å, between the largest force of a sound replica and that of a hot one


def replicas(n: int = 3, *, n_steps: int = 60, hot: int | None = None) -> list[Run]:
    """Ethanol from as many starts; one is far too hot for the limit of forces."""
    atoms = read_structure("ethanol")
    return [
        run_of(
            atoms,
            model=STUDENT,
            model_name=STUDENT,
            structure="ethanol",
            timestep=0.0005,
            n_steps=n_steps,
            start=start(atoms, temperature=30_000.0 if k == hot else 100.0, seed=k),
            velocity_seed=k,
            replica=k,
            coupling=Coupling(max_force=LIMIT),
        )
        for k in range(n)
    ]


class Campaign:
    """Runs in the folder of a campaign."""

    def __init__(self, output: Path, runs: Sequence[Run]) -> None:
        self.output = output
        self.ids = [run.id for run in runs]
        self.folders = {run.id: run_folder(output, run.id) for run in runs}
        for run in runs:
            write_run(run, self.folders[run.id])

    def ended(self, size: int, stop: Stop | None = None) -> dict[str, Outcome]:
        """In packs of a size."""

        def execute(folders: Mapping[str, Path], stop: Stop, show: object) -> dict[str, Outcome]:
            return run_all(folders, 1, stop, show)  # type: ignore[arg-type]

        def show(_run: str, _advance: Advance) -> None:
            """Tell nobody."""

        return in_packs(execute, self.output, lambda _alike: size)(self.folders, stop or Stop(), show)

    @property
    def segments(self) -> dict[str, bytes]:
        """Of all members."""
        found = {
            f"{run_id}/{name}": content
            for run_id, folder in self.folders.items()
            for name, content in contents(folder).items()
        }
        assert found
        return found

    def recorded(self, run_id: str) -> dict[str, np.ndarray]:
        """Positions, forces and virials of the frames of a run, and its energies in every step."""
        found: dict[str, list[np.ndarray]] = {}
        for index in range(n_segments(self.folders[run_id])):
            with h5py.File(segment_path(self.folders[run_id], index)) as file:
                for name in (
                    "particles/trajectory/position/value",
                    "particles/trajectory/velocity/value",
                    "particles/trajectory/force/value",
                    "observables/trajectory/virial/value",
                    "parameters/every_step/potential_energy",
                    "parameters/every_step/kinetic_energy",
                    "parameters/every_step/step",
                ):
                    found.setdefault(name, []).append(file[name][()])
        return {name: np.concatenate(values) for name, values in found.items()}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Three replicas in one pack, at their ends."""
    campaign = Campaign(tmp_path_factory.mktemp("packed"), replicas())
    assert {each.status for each in campaign.ended(3).values()} == {Status.DONE}
    return campaign


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """The same, one after the other."""
    campaign = Campaign(tmp_path_factory.mktemp("alone"), replicas())
    campaign.ended(1)
    return campaign


def test_members_are_the_runs_alone_but_for_rounding(packed: Campaign, alone: Campaign):
    for run_id in packed.ids:
        assert pack_of(packed.folders[run_id]) is not None
        assert pack_of(alone.folders[run_id]) is None
        ours, theirs = packed.recorded(run_id), alone.recorded(run_id)
        assert list(ours) == list(theirs)
        for name, values in ours.items():
            assert values == pytest.approx(theirs[name], abs=1e-9, rel=1e-9), name


def test_members_in_a_sheared_and_turned_cell_are_the_runs_alone(tmp_path: Path):
    atoms = read_structure("silicon")
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + np.array([[0, 0.02, 0], [0, 0, 0.03], [0, 0, 0]])), scale_atoms=True)
    atoms.rotate(37, (1, 2, 3), rotate_cell=True)
    about = {"model": "si-ace", "model_name": "si-ace", "structure": "silicon", "timestep": 0.001, "n_steps": 20}
    runs = [
        run_of(atoms, **about, start=start(atoms, temperature=900.0, seed=k), velocity_seed=k, replica=k)
        for k in range(2)
    ]
    ours, theirs = Campaign(tmp_path / "packed", runs), Campaign(tmp_path / "alone", runs)
    ours.ended(2)
    theirs.ended(1)
    for run_id in ours.ids:
        assert pack_of(ours.folders[run_id]) is not None
        for name, values in ours.recorded(run_id).items():
            assert values == pytest.approx(theirs.recorded(run_id)[name], abs=1e-8, rel=1e-8), name


def test_what_members_keep_for_the_ledger_is_what_they_keep_alone(packed: Campaign, alone: Campaign):
    for run_id in packed.ids:
        with (
            h5py.File(segment_path(packed.folders[run_id], 0)) as ours,
            h5py.File(segment_path(alone.folders[run_id], 0)) as theirs,
        ):
            assert ours["parameters/ledger/step"][()].tolist() == theirs["parameters/ledger/step"][()].tolist()
            residuals = [file["parameters/ledger/residual"][()] for file in (ours, theirs)]
        assert residuals[0] == pytest.approx(residuals[1], abs=1e-9)


def test_a_pack_that_is_extended_is_the_whole_one_to_the_byte(packed: Campaign, tmp_path: Path):
    campaign = Campaign(tmp_path, replicas(n_steps=20))
    campaign.ended(3)
    longer = Campaign(tmp_path, replicas())
    assert {each.status for each in longer.ended(1).values()} == {Status.DONE}  # a pack is kept
    assert longer.segments == packed.segments


def test_a_pack_that_was_killed_between_its_members_goes_on_to_the_same_bytes(packed: Campaign, tmp_path: Path):
    campaign = Campaign(tmp_path, replicas(n_steps=40))
    campaign.ended(3)
    (pack,) = (tmp_path / "packs").iterdir()
    segment_path(pack, 1).unlink()  # as if it had ended when two members of three had their segments
    segment_path(campaign.folders[campaign.ids[2]], 1).unlink()
    longer = Campaign(tmp_path, replicas())
    longer.ended(3)
    assert longer.segments == packed.segments


@pytest.mark.slow
@pytest.mark.parametrize("module", ["mdsuite_driver.cli", "mdsuite.engines"])
def test_a_pack_whose_processes_are_killed_comes_to_the_same_bytes(module: str, tmp_path: Path):
    """A driver is replaced, and an engine's run is taken up by the next command."""
    runs = replicas(2, n_steps=160)
    whole, struck = Campaign(tmp_path / "whole", runs), Campaign(tmp_path / "struck", runs)
    whole.ended(2)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(struck.ended, 2)
        when_recorded(struck.folders[runs[0].id], 3)
        struck_pid = process_of(os.getpid(), module)
        assert struck_pid is not None
        os.kill(struck_pid, signal.SIGKILL)
        first = future.result(60.0)
    replaced = module == "mdsuite_driver.cli"
    assert {each.status for each in first.values()} == {Status.DONE if replaced else Status.FAILED}
    assert {len(each.events) for each in first.values()} == {int(replaced)}
    assert {each.status for each in struck.ended(2).values()} == {Status.DONE}
    assert struck.segments == whole.segments


def test_a_stop_is_one_of_all_members(tmp_path: Path):
    campaign, stop = Campaign(tmp_path, replicas()), Stop()
    stop.request()
    assert {each.status for each in campaign.ended(3, stop).values()} == {Status.STOPPED}


def test_a_member_that_fails_is_taken_out_and_the_others_go_on(packed: Campaign, tmp_path: Path):
    campaign = Campaign(tmp_path / "packed", replicas(hot=1))
    outcomes = campaign.ended(3)
    sound, hot = [campaign.ids[0], campaign.ids[2]], campaign.ids[1]
    assert [outcomes[each].status for each in sound] == [Status.DONE, Status.DONE]
    assert outcomes[hot].status is Status.UNSTABLE
    for run_id in sound:
        for name, values in campaign.recorded(run_id).items():
            assert values == pytest.approx(packed.recorded(run_id)[name], abs=1e-9, rel=1e-9), name
    alone = Campaign(tmp_path / "alone", [replicas(hot=1)[1]])
    (of_alone,) = alone.ended(1).values()
    assert of_alone.status is Status.UNSTABLE
    assert 0 < outcomes[hot].steps == of_alone.steps
    assert outcomes[hot].reason.split(";")[0] == of_alone.reason.split(";")[0]
    noted = json.loads((campaign.folders[hot] / "status.json").read_text())
    assert (noted["status"], noted["steps"]) == ("unstable", of_alone.steps)


@pytest.mark.slow
def test_what_was_taken_out_stays_out_when_a_pack_goes_on(tmp_path: Path):
    whole = Campaign(tmp_path / "whole", replicas(hot=1))
    at_once = whole.ended(3)
    campaign = Campaign(tmp_path / "parts", replicas(hot=1, n_steps=40))
    campaign.ended(3)
    longer = Campaign(tmp_path / "parts", replicas(hot=1))
    assert {run_id: each.steps for run_id, each in longer.ended(3).items()} == {
        run_id: each.steps for run_id, each in at_once.items()
    }
    assert longer.segments == whole.segments


def test_a_pack_of_which_nobody_is_left_ends(tmp_path: Path):
    runs = [replace(run, coupling=Coupling(max_force=1e-3)) for run in replicas(2)]
    outcomes = Campaign(tmp_path, runs).ended(2)
    assert {each.status for each in outcomes.values()} == {Status.UNSTABLE}
    assert all("beyond the limit" in each.reason for each in outcomes.values())


def test_runs_that_differ_in_more_than_their_start_share_no_pack(tmp_path: Path):
    shorter = (replace(run, timestep=0.00025) for run in replicas(2, n_steps=20))
    runs = [*replicas(2, n_steps=20), *shorter]
    assert len({alike(run) for run in runs}) == 2
    Campaign(tmp_path, runs).ended(4)
    packs = [members_of(folder) for folder in (tmp_path / "packs").iterdir()]
    assert sorted(len({member.run.timestep for member in members}) for members in packs) == [1, 1]


@pytest.mark.parametrize(
    "changes", [{"engine": "ase"}, {"thermostat": "langevin"}, {"coupling": Coupling(accept_foreign=True)}]
)
def test_what_cannot_share_a_system_is_alone(changes: dict[str, object]):
    run = replicas(1)[0]
    assert packable(run)
    assert not packable(replace(run, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("milliseconds", "jobs", "size"),
    [
        ({1: 1.0, 2: 1.2, 4: 2.0}, 1, 4),  # the more the better
        ({1: 1.0, 2: 2.6}, 2, 1),  # two at a time are as fast alone
        ({1: 1.0, 2: 1.2}, 2, 2),
        ({1: 5.0, 2: 11.0, 4: 30.0}, 1, 1),
        ({1: 3.2, 2: 6.0}, 2, 1),  # what is gained by the clock is not, beside others
    ],
)
def test_as_many_share_a_pack_as_is_fastest(
    milliseconds: dict[int, float], jobs: int, size: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def cost(_batch: Batch, _run: Run, size: int) -> float:
        return milliseconds[size] * 1e-3

    monkeypatch.setattr(packing, "_cost", cost)
    members = [Member(run=run, folder=tmp_path) for run in replicas(4)]
    assert packing.Packer("auto", jobs, print)(members) == size


@pytest.mark.parametrize(("gpus", "size"), [(0, 8), (1, 8), (2, 4), (4, 2)])
def test_who_asks_a_gpu_at_a_time_does_not_make_it_faster(
    gpus: int, size: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(packing, "n_gpus", lambda: gpus)
    monkeypatch.setattr(packing, "_cost", lambda _batch, _run, size: 1e-2 + 1e-6 * size)
    monkeypatch.setattr(packing, "load", lambda _source, *, trust: load(STUDENT, trust=trust))
    members = [Member(run=replace(run, model=f"cuda:{STUDENT}"), folder=tmp_path) for run in replicas(8)]
    on_cpus = [Member(run=replace(run, model=STUDENT), folder=tmp_path) for run in replicas(8)]
    assert packing.Packer("auto", 4, print)(members) == size
    assert packing.Packer("auto", 4, print)(on_cpus) == 2


def test_a_model_that_takes_one_at_a_time_is_alone_and_that_is_said(tmp_path: Path):
    told: list[str] = []
    members = [Member(run=replace(run, model="argon-lj"), folder=tmp_path) for run in replicas(2)]
    assert packing.Packer("auto", 1, told.append)(members) == 1
    assert "one structure at a time" in told[0]


FLAGS = ["--engine", "lammps", "--model", STUDENT, "--structure", "ethanol", "--time-ps", "0.02"]
BRIEF = [*FLAGS, "--no-check", "--no-follow-up", "--compile", "never"]


def test_a_campaign_in_packs_is_judged_as_any_other(tmp_path: Path):
    asked = [*BRIEF, "--replicas", 3, "--pack", 3, "--output", tmp_path / "out"]
    assert command("run", *asked).exit_code in (0, 1, 3)
    found = results(tmp_path / "out")
    assert [each["status"] for each in found["runs"]] == ["done"] * 3
    assert found["provenance"]["evaluation"] == f"{STUDENT}: as it is, in packs of 3"
    member = next((tmp_path / "out" / "runs").iterdir())
    alone = command("run-one", member)
    pack = next((tmp_path / "out" / "packs").iterdir())
    assert alone.exit_code == 2 and f"mdsuite run-one {pack}" in alone.output
    whole = command("run-one", pack)
    assert whole.exit_code == 0, whole.output
    assert whole.output.count(": done after 40 steps") == 3


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of a campaign in packs of two on this machine."""
    here = tmp_path_factory.mktemp("pairs")
    assert command("run", *PAIRS, "--output", here).exit_code in (0, 1, 3)
    return here / "runs"


PAIRS = [*BRIEF, "--replicas", 4, "--pack", 2]


def test_shards_are_of_whole_packs(pairs: Path, tmp_path: Path):
    submitted = command("submit", *PAIRS, "--shards", 2, "--dry-run", "--output", tmp_path)
    assert submitted.exit_code == 0, submitted.output
    shares = [Shard(k, 2).runs(tmp_path) for k in range(2)]
    for share in shares:
        assert len({pack_of(folder) for folder in share.values()}) == 1
    assert len(shares[0].keys() | shares[1].keys()) == 4
    for k in range(2):
        assert command("run-shard", tmp_path, "--shard", f"{k}/2").exit_code == 0
    assert command("status", tmp_path).output.startswith("4 of 4 runs done")
    for run in pairs.iterdir():
        assert contents(tmp_path / "runs" / run.name) == contents(run)


@pytest.mark.slow
def test_workers_of_parsl_take_packs(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # Parsl writes where it is
    through = [*PAIRS, "--executor", f"parsl:{inputs_folder() / 'executors' / 'local.py'}", "--output", tmp_path / "o"]
    line = [sys.executable, "-m", "mdsuite", "run", *map(str, through)]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1, 3), ended.stderr
    for run in pairs.iterdir():
        assert contents(tmp_path / "o" / "runs" / run.name) == contents(run)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["submit", "--shards", 3, "--dry-run"], "at most as many shards as packs, which are 2, got 3"),
        (["submit", "--shards", 2, "--dry-run", "--pack", "auto"], "say how many, as --pack 64"),
        (["run", "--executor", "slurm", "--pack", "auto"], "say how many, as --pack 64"),
    ],
)
def test_packs_that_cannot_be_divided_are_refused(line: list[object], said: str, tmp_path: Path):
    refused = command(line[0], *PAIRS, *line[1:], "--output", tmp_path / "o")
    assert (refused.exit_code, said in refused.output) == (2, True), refused.output


@pytest.mark.parametrize("size", ["0", "some", "-1"])
def test_a_size_that_means_nothing_is_refused(size: str, tmp_path: Path):
    refused = command("run", "--model", STUDENT, "--structure", "ethanol", "--pack", size, "--output", tmp_path / "o")
    assert refused.exit_code == 2 and "pack" in refused.output
