"""The command ``mdsuite-driver``."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Sequence
from functools import partial

import click

from mdsuite_driver.client import serve
from mdsuite_driver.dialect import Species
from mdsuite_driver.heap import for_good, keep_freed_memory
from mdsuite_driver.models.protocol import Model, ModelError
from mdsuite_driver.orders import serve_in_turn
from mdsuite_driver.parent import die_with_supervisor
from mdsuite_driver.soundness import UnsoundError
from mdsuite_driver.stream import connect
from mdsuite_driver.threads import take_threads
from mdsuite_driver.together import Gathering, serve_together

UNSOUND = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--model", required=True, metavar="M", help="Path of a checkpoint, a bundled name, or ase:FILE.py:FACTORY."
)
@click.option(
    "--unix", metavar="NAME", multiple=True, help="UNIX socket: i-PI's name (/tmp/ipi_NAME), or a path with a slash."
)
@click.option("--host", metavar="HOST", help="Host of INET sockets, with --port.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", multiple=True, help="Port of an INET socket.")
@click.option("--structure", metavar="FILE", help="Elements and periodicity, for servers that do not send them (i-PI).")
@click.option("--threads", type=click.IntRange(1), default=1, help="CPU threads of the model.")
@click.option("--patience-s", type=float, default=60.0, help="How long to wait for the server to listen, s.")
@click.option("--idle-s", type=float, help="Exit when the server is silent for so long, s.  [default: never]")
@click.option("--connections", type=click.IntRange(1), default=1, help="To every server.")
@click.option(
    "--batch", type=click.IntRange(1), help="Most configurations evaluated at once.  [default: all that are asked]"
)
@click.option("--batch-wait-ms", type=float, default=1.0, help="How long a request waits for others, ms.")
@click.option("--double", is_flag=True, help="Compute in float64, whatever the model computes in by itself.")
@click.option("--trust", is_flag=True, help="Run code and pickles stored in the model's file.")
@click.option(
    "--orders-fd", type=click.IntRange(3), hidden=True, help="Socket on which a supervisor says where to serve."
)
def main(
    model: str,
    unix: Sequence[str],
    host: str | None,
    port: Sequence[int],
    structure: str | None,
    threads: int,
    patience_s: float,
    idle_s: float | None,
    connections: int,
    batch: int | None,
    batch_wait_ms: float,
    double: bool,
    trust: bool,
    orders_fd: int | None,
) -> None:
    """Serve a model to an i-PI server until it says EXIT or closes.

    Several --unix or --port are several servers, which are served at once; with several --connections one server has
    as many requests answered at once. What arrives together is evaluated as one batch.

    Exit codes: 0 served to the end, 1 an error, 2 bad input, 3 the model's answer must not be integrated.

    Example, for i-PI with <ffsocket mode='unix'> <address>water</address>:

        mdsuite-driver --model painn-ultra-tiny --unix water --structure start.xyz
    """
    die_with_supervisor()
    addresses = [] if orders_fd is not None else _addresses(unix, host, port) * connections
    try:
        served = _model(model, threads=threads, double=double, trust=trust)
        if not addresses:
            with socket.socket(fileno=orders_fd) as channel:
                serve_in_turn(channel, served, patience=patience_s)
            return
        click.echo(f"serving {served.card}")
        servers = [partial(connect, each, patience=patience_s) for each in addresses]
        if len(servers) == 1:
            with contextlib.closing(servers[0]()) as stream:
                n_evaluations = serve(stream, served, _species(structure), idle=idle_s)
            click.echo(f"served {n_evaluations} evaluations")
            return
        gathering = Gathering(at_most=batch or sys.maxsize, patience=1e-3 * batch_wait_ms)
        n_evaluations, n_batches = serve_together(
            servers, served, gathering, _species(structure), idle=idle_s, told=partial(click.echo, err=True)
        )
        click.echo(f"served {n_evaluations} evaluations in {n_batches} batches")
    except KeyboardInterrupt:
        sys.exit(130)
    except UnsoundError as error:
        click.echo(str(error), err=True)
        sys.exit(UNSOUND)


def _addresses(unix: Sequence[str], host: str | None, port: Sequence[int]) -> list[str | tuple[str, int]]:
    if unix and not (host or port):
        return [name if "/" in name else f"/tmp/ipi_{name}" for name in unix]  # where i-PI puts its sockets
    if host and port and not unix:
        return [(host, each) for each in port]
    raise click.UsageError("wanted either --unix NAME or --host HOST with --port PORT")


def _model(source: str, *, threads: int, double: bool, trust: bool) -> Model:
    keep_freed_memory()
    take_threads(threads)
    try:
        with for_good():
            from mdsuite_driver.models.load import in_double, load  # noqa: PLC0415  slow, --help should not be

            model = load(source, trust=trust)
            model = in_double(model) if double else model
    except ModelError as error:
        raise click.UsageError(str(error)) from error
    take_threads(threads)  # whatever the model has asked for
    return model


def _species(structure: str | None) -> Species | None:
    if structure is None:
        return None
    import ase.io  # noqa: PLC0415  slow

    atoms = ase.io.read(structure)
    first, second, third = (bool(periodic) for periodic in atoms.pbc)
    return Species(atoms.numbers, (first, second, third))


if __name__ == "__main__":
    main()
