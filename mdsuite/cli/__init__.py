"""The command ``mdsuite``: parse, call, print, return a code."""

from __future__ import annotations

import difflib

import click

from mdsuite import __version__
from mdsuite.cli import batch, bench, campaigns, guidance, judging, making
from mdsuite.cli.options import duration
from mdsuite_driver.heap import collect_seldom

__all__ = ["duration", "main"]


class Commands(click.Group):
    """Those of mdsuite; a word that is none of them is answered with what is near."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.commands, n=1)
            hint = f"did you mean {near[0]}?" if near else "mdsuite --help lists them"
            raise click.UsageError(f"there is no command {args[0]}; {hint}", ctx) from error


@click.group(
    cls=Commands,
    commands=[
        campaigns.run,
        campaigns.plan,
        campaigns.agree,
        campaigns.run_one,
        batch.submit,
        batch.run_shard,
        batch.watch,
        batch.status,
        batch.cancel,
        batch.gather,
        judging.check,
        judging.analyze_sources,
        judging.forces,
        judging.compare,
        judging.selftest,
        making.distill,
        making.fit,
        making.export,
        making.card,
        bench.bench,
        guidance.init,
        guidance.explain,
        guidance.doctor,
        guidance.print_completion,
    ],
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(__version__)
def main() -> None:
    """Decide whether a machine-learned interatomic potential may be trusted in production MD."""
    collect_seldom()
