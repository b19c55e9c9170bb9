"""`turnwire size`: which machines a number of calls needs."""

from __future__ import annotations

from typing import Annotated

import typer


def size(
    *,
    calls: Annotated[int | None, typer.Option(min=1, help="Concurrent calls in the busiest hour.  [a table]")] = None,
    events: Annotated[float, typer.Option(min=0.01, max=1000, help="Events per second in each call.")] = 0.5,
    minutes: Annotated[float, typer.Option(min=0.1, help="Duration of a call.")] = 3,
    watchers: Annotated[int, typer.Option(min=0, max=1000, help="Subscribers of each call.")] = 1,
    hours: Annotated[float, typer.Option(min=0, max=24, help="Hours per day with this load.")] = 8,
) -> None:
    """Print how large the machines must be. It contacts no gateway, but computes from measured costs.

    \b
    For 5,000 concurrent calls:
        turnwire size --calls 5000
    For calls of ten minutes with two events a second, each watched by three:
        turnwire size --calls 5000 --minutes 10 --events 2 --watchers 3
    A table of usual sizes:
        turnwire size
    """
    from turnwire.commands import sizing  # noqa: PLC0415 -- --help need not wait for it

    def load(count: int) -> sizing.Load:
        return sizing.Load(count, events=events, minutes=minutes, watchers=watchers, hours=hours)

    sizes = [sizing.size_of(load(count)) for count in (sizing.USUAL_CALLS if calls is None else (calls,))]
    if calls is None:
        typer.echo(sizing.table([sizing.row(each) for each in sizes]))
    else:
        for name, cell in zip(sizing.HEAD, sizing.row(sizes[0]), strict=True):
            typer.echo(f"{name:>16}  {cell.replace('`', '')}")
    typer.echo()
    for sentence in sizing.assumptions(load(1)):
        typer.echo(f"- {sentence}")
