"""Runs a gateway in this process: the embedded database, if any, the application and the listening socket."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import uvloop

from turnwire.gateway.access.mode import choose_mode
from turnwire.gateway.config import Config, ConfigError
from turnwire.gateway.running.collector import calm_collector, scan_often
from turnwire.gateway.running.periodic import Started
from turnwire.gateway.running.systemd import Systemd
from turnwire.gateway.telemetry.hiding import hide_password
from turnwire.store.embedded.faults import EmbeddedDatabaseError
from turnwire.store.embedded.server import EmbeddedDatabase

if TYPE_CHECKING:
    from aiohttp import web

    from turnwire.gateway.running.app import Gateway
    from turnwire.gateway.running.worker_member import Member
    from turnwire.store.mongo import Store
    from turnwire.store.probe import StorageProbe

_BACKLOG: Final = 4096
_STOP_SECONDS: Final = 9.5
"""Longest duration of a stop, drain included: supervisors kill a process after ten seconds."""
_DATABASE_STOP_SECONDS, _DATABASE_PATIENCE_SECONDS = 0.3, 2.0
"""Reserved, and longest, time for stopping the embedded database, which loses nothing when it is killed."""
_SWITCH_SECONDS: Final = 0.001
"""Seconds for which a busy thread may keep the interpreter; by default 5 ms. A commit by a thread of the driver needs
it for five steps."""
_PING_SECONDS: Final = 0.2
"""How long a report to systemd waits for the database to answer a ping."""
_STUCK_SECONDS: Final = 60.0
"""The driver gives up every command after 10 s. If a ping takes this long, the driver itself hangs, and only a new
process helps. A database that is merely away does not hang it."""

_log = logging.getLogger("turnwire.gateway")


class ServeError(Exception):
    """A reason why the gateway cannot run. The text says what to do."""


def run(config: Config) -> None:
    """Serve until a signal stops it. Raises ServeError and ConfigError."""
    uvloop.run(serve(config, prepare=partial(_configure_logs, config)))


def _configure_logs(config: Config) -> None:
    from turnwire.gateway.access.audit import configure_audit  # noqa: PLC0415 -- the embedded database starts meanwhile
    from turnwire.gateway.telemetry.logs import configure_logging  # noqa: PLC0415 -- the same
    from turnwire.gateway.tracing.switch import log_processors  # noqa: PLC0415 -- the same

    configure_logging(config.log_level, config.log_format, *log_processors(config))
    configure_audit()


async def serve(
    config: Config,
    on_ready: Callable[[str], None] | None = None,
    prepare: Callable[[], None] = lambda: None,
    on_signal: Callable[[], object] = lambda: None,
) -> None:
    """Serve until SIGTERM, SIGINT or cancellation, then stop gracefully. A second signal ends the process at once.

    `on_ready` is called with the URL once the gateway listens, and `prepare` in a thread, before anything but the
    embedded database has begun. `on_signal` is called when a signal ends it, before anything stops. Must run in the
    main thread. Raises ServeError, what `prepare` raises, and ConfigError for an invalid MongoDB URI.
    """
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    received: list[int] = []

    def end(number: int) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        _log.info("stopping")
        last_resort = threading.Timer(config.drain_delay + _STOP_SECONDS + 0.1, _end_process)
        last_resort.daemon = True
        last_resort.start()
        on_signal()
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    try:
        await _run_until_cancelled(_Process(config, prepare), on_ready)
    except asyncio.CancelledError:
        if not received:
            raise
        task.uncancel()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _run_until_cancelled(process: _Process, on_ready: Callable[[str], None] | None) -> None:
    try:
        url = await process.start()
        calm_collector()
        sys.setswitchinterval(_SWITCH_SECONDS)
        process.report_ready(url)
        if on_ready is not None:
            on_ready(url)
        await process.warn_if_database_is_away()
        await scan_often()
    finally:
        # In a separate task: this one is being cancelled, which would confuse the timeouts in `stop`.
        await asyncio.create_task(process.stop(), name="stop")


class _Parts(NamedTuple):
    """The parts of a process. Importing them takes longer than starting the embedded database."""

    gateway: type[Gateway]
    member: type[Member]
    store: type[Store]
    site: type[web.TCPSite]

    @classmethod
    def load(cls, prepare: Callable[[], None]) -> _Parts:
        """Call `prepare`, and import the parts. Meant for a thread, while the database starts."""
        prepare()
        from aiohttp.web import TCPSite  # noqa: PLC0415 -- the embedded database starts meanwhile

        from turnwire.gateway.running.app import Gateway  # noqa: PLC0415 -- the embedded database starts meanwhile
        from turnwire.gateway.running.worker_member import Member  # noqa: PLC0415 -- the same
        from turnwire.store.mongo import Store  # noqa: PLC0415 -- the same

        return cls(Gateway, Member, Store, TCPSite)


class _Process:
    """The parts of a running gateway, started and stopped by `serve`."""

    def __init__(self, config: Config, prepare: Callable[[], None]) -> None:
        self._config = config
        self._prepare = prepare
        self._database: EmbeddedDatabase | None = None
        self._database_uri = config.mongodb_uri or ""
        self._store: Store | None = None
        self._member: Member | None = None
        self._systemd = Systemd.from_environment()
        self._started = Started()
        """Everything but the database."""

    async def start(self) -> str:
        """Start all parts. Return the URL the gateway listens on. After an error, call `stop` for what was started."""
        choose_mode(self._config)  # raises for settings that must not be served, before anything is started
        _raise_open_files_limit()
        loading = asyncio.create_task(asyncio.to_thread(_Parts.load, self._prepare))
        try:
            if self._config.mongodb_uri is None:
                async with self._systemd.taking_long():
                    self._database = await start_database(self._config)
                self._database_uri = self._database.uri
        finally:
            parts = await loading
        self._member = parts.member.from_environment()
        try:
            store = self._store = await parts.store.open(
                self._database_uri,
                self._config.mongodb_database,
                embedded=self._config.mongodb_uri is None,
                insert_lanes=self._config.insert_lanes,
            )
        except ValueError as error:
            raise ConfigError(hide_password(str(error))) from None
        self._started.add("the connections to the database", store.close)
        if (fault := await store.format_fault()) is not None:
            raise ServeError(fault)
        gateway = parts.gateway(self._config, store, self._member)
        if (database := self._database) is not None:
            gateway.metrics.embedded_restarts = lambda: database.restarts
        runner = gateway.make_runner()
        self._started.add("open requests", runner.cleanup)
        await runner.setup()
        if self._member is not None:
            unshare = await self._member.share_metrics(gateway.metrics.registry, gateway.recent.readings)
            self._started.add("shared metrics", unshare)
        self._started.add("the drain", gateway.drain)
        self._reload_on_signal(gateway)
        url = await self._listen(parts.site, runner)
        self._started.add("signs of life", self._begin_signs_of_life(gateway.probe))
        self._started.add("the drain delay", gateway.leave)
        return url

    def _reload_on_signal(self, gateway: Gateway) -> None:
        loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()

        def reload() -> None:
            task = loop.create_task(gateway.reload())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        self._started.add("reloads", partial(loop.remove_signal_handler, signal.SIGHUP))

    def _begin_signs_of_life(self, probe: StorageProbe) -> Callable[[], object]:
        """Begin to tell systemd that the process is alive. Return the function that ends this."""

        async def is_well() -> bool:
            await probe.state(_PING_SECONDS)
            return probe.silence < _STUCK_SECONDS

        return asyncio.create_task(self._systemd.keep_alive(is_well), name="signs of life").cancel

    def report_ready(self, url: str) -> None:
        if self._member is not None:
            self._member.ready()  # the parent logs for all workers
        else:
            _log.info("turnwire listening on %s", url)
        self._systemd.ready()

    async def warn_if_database_is_away(self) -> None:
        if self._store is not None and not await self._store.ping():
            _log.warning(
                "no answer from the database at %s: the gateway serves what it can and keeps trying",
                hide_password(self._database_uri),
            )

    async def stop(self) -> None:
        """Stop listening, drain, close, and stop the embedded database, within _STOP_SECONDS after `drain_delay`."""
        self._systemd.stopping()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.drain_delay + _STOP_SECONDS
        try:
            async with asyncio.timeout_at(deadline - _DATABASE_STOP_SECONDS):
                await self._started.end()
        except TimeoutError:
            _log.error("stopping took too long and was aborted; it waited for the end of %s", self._started.ending)
        finally:
            if self._database is not None:
                await self._database.stop(kill_after=max(0.0, min(_DATABASE_PATIENCE_SECONDS, deadline - loop.time())))

    async def _listen(self, site_type: type[web.TCPSite], runner: web.AppRunner) -> str:
        host, port = self._config.host, self._config.port
        shared = self._member is not None
        site = site_type(runner, host, port, reuse_address=True, reuse_port=shared, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:
            raise cannot_listen(host, port, error) from None
        self._started.add("the listening socket", site.stop)
        return url_of(host, runner.addresses[0][1])


def url_of(host: str, port: int | str) -> str:
    """Return the URL of a gateway that listens on this host and port."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def cannot_listen(host: str, port: int, error: OSError) -> ServeError:
    """Return the error for a host and port that cannot be listened on.

    The event loop's text for it repeats the address. A name that cannot be resolved has no system errno.
    """
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return ServeError(f"cannot listen on {host} port {port}: {reason}; choose with --host and --port, or HOST and PORT")


async def start_database(config: Config) -> EmbeddedDatabase:
    """Start the embedded database. Return it once it is ready. Raises ServeError."""
    database = EmbeddedDatabase(config.data_dir, command=config.embedded_command, cache_size=config.embedded_cache)
    try:
        await database.start()
    except EmbeddedDatabaseError as error:
        raise ServeError(str(error)) from None
    return database


def _end_process() -> None:
    """End the process at once: a driver thread hangs because the database does not answer. Acked events are durable."""
    _log.error("could not stop gracefully within %s s; ending at once", _STOP_SECONDS)
    logging.shutdown()
    os._exit(0)


def _raise_open_files_limit() -> None:
    """Raise the limit of open files: every connection is one, and the usual soft limit is 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
