"""The command line. The commands that run a gateway are here; those that use one are in `turnwire.commands`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group


class _Commands(TyperGroup):
    """All commands. Those that use a gateway are imported when a command that is not in this file is asked for, so
    `serve` does not wait for them."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            self._add_others()
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        self._add_others()
        return super().list_commands(ctx)

    def _add_others(self) -> None:
        from turnwire.commands import options  # noqa: PLC0415 -- see above

        others = typer.Typer(rich_markup_mode=None)
        options.register(others)
        self.commands = {**self.commands, **get_group(others).commands}


app = typer.Typer(
    cls=_Commands,
    name="turnwire",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from turnwire.version import __version__  # noqa: PLC0415 -- no command needs it at once

        typer.echo(f"turnwire {__version__}")
        raise typer.Exit


@app.callback()
def turnwire(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Durable, ordered, replayable event streams of voice conversations, over WebSocket and REST.

    \b
    Start a gateway with an embedded database; nothing else is needed:
        turnwire serve
    Start one on your MongoDB replica set:
        turnwire serve --mongodb-uri 'mongodb://db1,db2,db3/?replicaSet=rs0'
    See what a command does:
        turnwire serve --help
    """


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [HOST, 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.  [PORT, 3000]")] = None,
    mongodb_uri: Annotated[
        str | None, typer.Option(help="MongoDB to use instead of the embedded database.  [MONGODB_URI]")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the embedded database.  [TURNWIRE_DATA_DIR, ./turnwire-data]"),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Processes that share the port; SIGHUP replaces them in turn.  [1]")
    ] = 1,
) -> None:
    """Run a gateway until it is stopped.

    On Ctrl-C or SIGTERM, it finishes what is in flight and exits within ten seconds. On the second, it exits at once.

    \b
    For this machine only, with an embedded database in ./turnwire-data:
        turnwire serve
    For other machines, on another port:
        turnwire serve --host 0.0.0.0 --port 8080
    On a MongoDB replica set, as in production:
        turnwire serve --mongodb-uri 'mongodb://db1,db2,db3/?replicaSet=rs0'
    With one process for each core:
        turnwire serve --workers 4
    Any other setting comes from the environment or from a file .env:
        TURNWIRE_LOG_LEVEL=debug turnwire serve

    Brackets show the environment variable of an option, and its default. An option overrides the environment, which
    overrides .env. .env.example lists all settings.
    """
    from turnwire.gateway.running.collector import hold_collector  # noqa: PLC0415 -- holds it during the next imports

    hold_collector()
    from turnwire.gateway.config import ConfigError, load_config  # noqa: PLC0415 -- these need the extra `server`
    from turnwire.gateway.running import serve as serving  # noqa: PLC0415

    try:
        config = load_config(host=host, port=port, mongodb_uri=mongodb_uri, data_dir=data_dir)
        if workers == 1:
            serving.run(config)
        else:
            from turnwire.gateway.running.workers import run_workers  # noqa: PLC0415

            run_workers(config, workers)
    except ConfigError as error:
        typer.echo(f"turnwire: wrong setting: {error}", err=True)
        raise typer.Exit(2) from None
    except serving.ServeError as error:
        typer.echo(f"turnwire: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def upgrade(
    mongodb_uri: Annotated[
        str | None, typer.Option(help="MongoDB to use instead of the embedded database.  [MONGODB_URI]")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the embedded database.  [TURNWIRE_DATA_DIR, ./turnwire-data]"),
    ] = None,
) -> None:
    """Convert stored data to the format of this version.

    What an older Turnwire has stored is converted. Nothing is served meanwhile.

    \b
    The folder of the embedded database, while no gateway uses it:
        turnwire upgrade --data-dir /var/lib/turnwire/data
    A MongoDB, while gateways of the older version keep running:
        turnwire upgrade --mongodb-uri 'mongodb://db1,db2,db3/?replicaSet=rs0'

    `turnwire serve` does the same, except that it leaves large metadata of old sessions as it is, which makes lists of
    them slow. Data that a newer Turnwire has stored is refused and left as it is. Make a backup first.
    """
    import asyncio  # noqa: PLC0415 -- --help need not wait for these

    from turnwire.gateway.config import ConfigError, load_config  # noqa: PLC0415
    from turnwire.gateway.running.serve import ServeError  # noqa: PLC0415
    from turnwire.gateway.running.upgrading import upgrade as bring_up  # noqa: PLC0415

    try:
        lines = asyncio.run(bring_up(load_config(mongodb_uri=mongodb_uri, data_dir=data_dir)))
    except ConfigError as error:
        typer.echo(f"turnwire: wrong setting: {error}", err=True)
        raise typer.Exit(2) from None
    except ServeError as error:
        typer.echo(f"turnwire: {error}", err=True)
        raise typer.Exit(1) from None
    for line in lines:
        typer.echo(line)


@app.command()
def demo(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [HOST, 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.  [PORT, 3000]")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the embedded database.  [a temporary one]")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stream every call once, quickly, and exit.")] = False,
) -> None:
    """Run a gateway with scripted calls, to see it at work. It needs nothing else and leaves nothing behind.

    \b
    Then open http://127.0.0.1:3000/ for the dashboard:
        turnwire demo
    On another port, keeping what is stored:
        turnwire demo --port 8080 --data-dir ./demo-data
    Check that it works on this machine:
        turnwire demo --once --port 0
    """
    from turnwire.commands.console import fail  # noqa: PLC0415 -- --help need not wait for these
    from turnwire.gateway.config import ConfigError, load_config  # noqa: PLC0415
    from turnwire.gateway.running.demo import run_demo  # noqa: PLC0415

    try:
        whole = run_demo(load_config(host=host, port=port, data_dir=data_dir), data_dir, once=once)
    except ConfigError as error:
        raise fail(f"wrong setting: {error}") from None
    if not whole:
        raise typer.Exit(1)
