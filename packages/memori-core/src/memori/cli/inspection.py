"""Commands that look at the installation: status, plugins."""

from __future__ import annotations

from dataclasses import asdict

import typer

from .console import console, count, note, print_json, seconds, table, text
from .options import AnyEntity, Database, Json, Namespace, opened, place


def status(
    entity: AnyEntity = None, json: Json = False, database: Database = None, namespace: Namespace = None
) -> None:
    """Show the outbox: what waits, what is done, what failed."""
    with opened(database, namespace) as memori:
        if entity is not None:
            memori.attribution(entity)
        found = memori.augmentation.status()
        where = place(memori)
    if json:
        print_json(asdict(found))
        return
    shown = table("Jobs", "", "What it means", numbers=("",), wide="What it means")
    shown.add_row("pending", f"{found.pending:,}", "waiting for a worker, or for their next attempt")
    shown.add_row("running", f"{found.running:,}", "leased by a worker")
    shown.add_row("done", f"{found.done:,}", "learnt from")
    shown.add_row("dead", f"{found.dead:,}", "failed for good; see `memori jobs list --state dead` and `memori retry`")
    console().print(text(where), soft_wrap=True)
    console().print(shown)
    if found.oldest_age is not None:
        note(f"The oldest job has waited for {seconds(found.oldest_age)}.")
    if found.last_error:
        note(f"Last error: {found.last_error}")


def plugins(json: Json = False) -> None:
    """List the plugins that are loaded, and what they provide."""
    from ..plugins import Plugins
    from ..settings import load

    found = Plugins(disabled=load().disabled_plugins.split(","))
    loaded, blocked = found.loaded(), sorted(found.blocked)
    if json:
        print_json({"loaded": [asdict(plugin) for plugin in loaded], "blocked": blocked})
        return
    shown = table("Plugin", "From", "Provides", "Hooks", wide="Provides")
    for plugin in loaded:
        hooks = [hook.removeprefix("memori_") for hook in plugin.hooks]
        shown.add_row(
            text(plugin.name),
            text(plugin.distribution),
            text("\n".join(plugin.providers) or "–"),
            text("\n".join(hooks) or "–"),
        )
    console().print(shown)
    typer.echo(f"{count(len(loaded), 'plugin')} loaded. Blocked: {', '.join(blocked) or 'none'}.")
