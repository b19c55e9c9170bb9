"""`turnwire conformance`: act as the gateway for a client of the user's own, and print what the client does wrong."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer


def conformance(
    client: Annotated[str, typer.Option(metavar="CMD", help="The client's program, with its first arguments.")],
    timeout: Annotated[float, typer.Option(min=1, help="The maximum number of seconds for each exercise.")] = 30.0,
) -> None:
    """Test a client that you have written.

    The command acts as the gateway for the client, and reports what the client does wrong.

    The client's program is run once for each exercise, with one of these lines of arguments:

    \b
        publish URL SESSION COUNT
    sends COUNT events of the type user_speech, with the ids e1, e2, … and the payloads {"n": 1}, {"n": 2}, …, ends the
    session, and exits with 0;
    \b
        follow URL SESSION
    prints the seq of each event on a line, until the session has ended, and exits with 0.

    If it cannot do its work, it exits with another status. URL begins with http://.

    \b
    Examine a client:
        turnwire conformance --client "node my-client.mjs"
    """
    from turnwire.commands.console import fail, output, printable, run, times  # noqa: PLC0415 -- --help need not wait
    from turnwire.conformance.stage import examine, program  # noqa: PLC0415

    try:
        verdicts = run(examine(program(shlex.split(client), timeout)))
    except (OSError, ValueError) as error:
        raise fail(f"cannot run {client!r}: {error}") from None
    for verdict in verdicts:
        output().print(f"{'wrong' if verdict.faults else 'right'}  {verdict.name}")
        if verdict.faults:
            output().print(f"         a client must {verdict.meaning}; this one")
        for fault in verdict.faults:
            output().print(printable(f"         - {fault}"))
        if verdict.faults and verdict.said:
            output().print(printable(f"         it wrote: {verdict.said.splitlines()[-1]}"))
    wrong = sum(bool(verdict.faults) for verdict in verdicts)
    output().print(f"{times(len(verdicts), 'exercise')}, {wrong} wrong")
    if wrong:
        raise typer.Exit(1)
