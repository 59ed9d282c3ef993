"""The root command: what there is, plugins' commands too, and how errors end."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import BrokenPluginError, MemoriError
from . import consolidate, demo, doctor, graph, ingest, inspection, jobs, migrate, reindex, search, trust, worker
from .console import fail


class _Root(TyperGroup):
    """Ends every command that raises a `MemoriError`, a plugin's too, with its message and exit status 1."""

    problem: MemoriError | None = None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MemoriError as error:
            fail(error, debug=bool(ctx.params.get("debug")))
            raise typer.Exit(1) from None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if self.problem is not None and self.get_command(ctx, args[0]) is None:
            raise self.problem
        return super().resolve_command(ctx, args)


def build() -> typer.Typer:
    """Make the command line anew, with the commands of the plugins that are installed now."""

    class Root(_Root):
        pass

    app = typer.Typer(
        name="memori",
        help="Memory for AI agents that lives in your own database.",
        cls=Root,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    app.command("demo")(demo.demo)
    app.command("import")(ingest.import_)
    app.command("recall")(search.recall)
    app.command("facts")(search.facts)
    app.command("forget")(search.forget)
    app.command("graph")(graph.graph)
    app.command("review")(trust.review)
    app.command("revert")(trust.revert)
    app.command("diff")(trust.diff)
    app.command("status")(inspection.status)
    app.command("retry")(ingest.retry)
    app.command("worker")(worker.worker)
    app.add_typer(jobs.build(), name="jobs")
    app.command("migrate")(migrate.migrate)
    app.command("reindex")(reindex.reindex)
    app.command("consolidate")(consolidate.consolidate)
    app.command("plugins")(inspection.plugins)
    app.command("doctor")(doctor.doctor)
    try:
        _add_commands_of_plugins(app)
    except MemoriError as error:
        # The commands above go on; those that need plugins say what is wrong with them.
        Root.problem = error
        app.info.epilog = f"Commands of plugins are missing: {error}"
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"memori {__version__}")
        raise typer.Exit


def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks, and log what Memori does.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if debug:
        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
        logging.getLogger("memori").setLevel(logging.DEBUG)


def _add_commands_of_plugins(app: typer.Typer) -> None:
    if not entry_points(group="memori"):
        return
    from ..plugins import Plugins
    from ..settings import load

    found = Plugins(disabled=load().disabled_plugins.split(","))
    for implementation in found.hook.memori_cli.get_hookimpls():
        try:
            implementation.function(*([app] if implementation.argnames else []))
        except Exception as error:
            raise BrokenPluginError(
                f"Plugin {implementation.plugin_name!r} fails in memori_cli: {type(error).__name__}: {error}. "
                f"Go on without it: MEMORI_DISABLED_PLUGINS={implementation.plugin_name}"
            ) from error
