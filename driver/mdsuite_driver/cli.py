"""The command ``mdsuite-driver``."""

from __future__ import annotations

import sys

import click

from mdsuite_driver.client import NOT_FINITE, NotFiniteError, Species, serve
from mdsuite_driver.stream import connect


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--model", required=True, metavar="M", help="Path of a checkpoint, a bundled name, or ase:FILE.py:FACTORY."
)
@click.option("--unix", metavar="NAME", help="UNIX socket: i-PI's name (/tmp/ipi_NAME), or a path with a slash.")
@click.option("--host", metavar="HOST", help="Host of an INET socket, with --port.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="PORT", help="Port of an INET socket.")
@click.option("--structure", metavar="FILE", help="Elements and periodicity, for servers that do not send them (i-PI).")
@click.option("--threads", type=click.IntRange(1), default=1, help="CPU threads of the model.")
@click.option("--patience-s", type=float, default=60.0, help="How long to wait for the server to listen, s.")
@click.option("--trust", is_flag=True, help="Run code and pickles stored in the model's file.")
def main(
    model: str,
    unix: str | None,
    host: str | None,
    port: int | None,
    structure: str | None,
    threads: int,
    patience_s: float,
    trust: bool,
) -> None:
    """Serve a model to an i-PI server until it says EXIT or closes.

    Exit codes: 0 served to the end, 1 an error, 2 bad input, 3 the model's answer was not finite.

    Example, for i-PI with <ffsocket mode='unix'> <address>water</address>:

        mdsuite-driver --model painn-ultra-tiny --unix water --structure start.xyz
    """
    address = _address(unix, host, port)
    try:
        n_evaluations = _run(address, model, structure, threads=threads, patience=patience_s, trust=trust)
    except KeyboardInterrupt:
        sys.exit(130)
    except NotFiniteError as error:
        click.echo(str(error), err=True)
        sys.exit(NOT_FINITE)
    click.echo(f"served {n_evaluations} evaluations")


def _address(unix: str | None, host: str | None, port: int | None) -> str | tuple[str, int]:
    if unix and not (host or port):
        return unix if "/" in unix else f"/tmp/ipi_{unix}"  # where i-PI puts its sockets
    if host and port and not unix:
        return host, port
    raise click.UsageError("wanted either --unix NAME or --host HOST with --port PORT")


def _run(
    address: str | tuple[str, int], source: str, structure: str | None, *, threads: int, patience: float, trust: bool
) -> int:
    import torch  # noqa: PLC0415  takes seconds, --help should not

    from mdsuite_driver.models.load import load  # noqa: PLC0415
    from mdsuite_driver.models.protocol import ModelError  # noqa: PLC0415

    torch.set_num_threads(threads)
    try:
        model = load(source, trust=trust)
    except ModelError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"serving {model.card}")
    stream = connect(address, patience=patience)
    try:
        return serve(stream, model, _species(structure))
    finally:
        stream.close()


def _species(structure: str | None) -> Species | None:
    if structure is None:
        return None
    import ase.io  # noqa: PLC0415

    atoms = ase.io.read(structure)
    first, second, third = (bool(periodic) for periodic in atoms.pbc)
    return Species(atoms.numbers, (first, second, third))


if __name__ == "__main__":
    main()
