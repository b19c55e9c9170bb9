"""The layout of the code: no file reaches itself by imports, rooms import downwards only, folders stay small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.house.tree import circles, import_graph, imported, levels, room_of, rooms_of, source_files, within
from tests.support.processes import ROOT

MAX_FOLDER_FILES = 20
MAX_LEVELS = 12
MAX_FILE_LINES = 300

BASE = {"protocol", "gateway", "gateway/config"}
"""What every room of the gateway may import; `gateway` stands for config and clock."""
EVERYWHERE = {"turnwire.version", "turnwire.store.on_demand"}
"""Single modules that any room may import: the second is about tasks, and knows nothing of storage."""
ROOMS: Mapping[str, set[str]] = {
    "gateway/http": BASE,
    "gateway/access": BASE,
    "gateway/telemetry": BASE,
    "gateway/connections": BASE,
    "gateway/live": BASE,
    "gateway/sessions": BASE | {"gateway/live"},
    "gateway/watching": BASE | {"gateway/live", "gateway/connections"},
    "gateway/peers": BASE | {"gateway/live", "gateway/sessions", "gateway/watching"},
    "gateway/webhooks": BASE | {"gateway/live", "gateway/sessions", "gateway/watching"},
    "gateway/tracing": BASE | {"gateway/live", "gateway/http", "gateway/telemetry"},
    "gateway/finding": BASE | {"gateway/live", "gateway/sessions"},
    "gateway/importing": BASE | {"gateway/live", "gateway/sessions"},
    "gateway/keeping": BASE | {"gateway/live", "gateway/sessions"},
    "gateway/openapi": BASE | {"gateway/http"},
    "gateway/pages": BASE | {"gateway/http", "gateway/openapi"},
    "gateway/sockets": BASE
    | {
        "gateway/access",
        "gateway/live",
        "gateway/sessions",
        "gateway/watching",
        "gateway/connections",
        "gateway/http",
    },
    "gateway/rest": BASE
    | {
        "gateway/access",
        "gateway/live",
        "gateway/sessions",
        "gateway/watching",
        "gateway/connections",
        "gateway/http",
        "gateway/telemetry",
        "gateway/finding",
        "gateway/importing",
        "gateway/webhooks",
        "gateway/keeping",
    },
    "gateway/durable_streams": BASE
    | {
        "gateway/access",
        "gateway/live",
        "gateway/sessions",
        "gateway/watching",
        "gateway/connections",
        "gateway/http",
        "gateway/rest",
    },
}
"""Room → the rooms it may import. `running`, above all of them, may import any."""
_USING_STORE = (
    *("finding", "importing", "keeping", "live", "sessions", "watching", "peers", "sockets", "rest", "webhooks"),
    "tracing",
    "durable_streams",
)
WITH_STORE = {f"gateway/{room}" for room in _USING_STORE}
WITHOUT_AIOHTTP = {
    "gateway/live",
    "gateway/sessions",
    "gateway/importing",
    "gateway/keeping",
    "gateway/peers",
    "store",
    "protocol",
}


@pytest.fixture(scope="module")
def graph() -> Mapping[str, frozenset[str]]:
    return import_graph(source_files(ROOT))


def beyond(graph: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    """Return module → what it imports from rooms that are closed to it."""
    found = {}
    for module, others in graph.items():
        room = room_of(module)
        if room not in ROOMS:
            continue
        may = ROOMS[room] | {room} | ({"store"} if room in WITH_STORE else set())
        if wrong := sorted(other for other in others if room_of(other) not in may and other not in EVERYWHERE):
            found[module] = wrong
    return found


def test_no_file_reaches_itself_by_imports(graph: Mapping[str, frozenset[str]]) -> None:
    assert circles(graph) == []


def test_rooms_import_downwards_only(graph: Mapping[str, frozenset[str]]) -> None:
    assert beyond(graph) == {}


def test_every_room_has_a_rule_for_its_imports(graph: Mapping[str, frozenset[str]]) -> None:
    rooms = {room_of(module) for module in graph if module.startswith("turnwire.gateway.")}
    assert rooms - {"gateway", "gateway/config", "gateway/running"} == set(ROOMS)


def test_live_and_sessions_know_nothing_of_aiohttp() -> None:
    wrong = [
        module
        for module, path in source_files(ROOT).items()
        if room_of(module) in WITHOUT_AIOHTTP and any(name.split(".")[0] == "aiohttp" for name in imported(path))
    ]
    assert wrong == []


def test_folders_levels_and_files_stay_small(graph: Mapping[str, frozenset[str]]) -> None:
    files = source_files(ROOT)
    folders = Counter(path.parent for path in files.values())
    assert {str(folder): count for folder, count in folders.items() if count > MAX_FOLDER_FILES} == {}
    assert max(levels(rooms_of(within(graph, "turnwire.gateway"))).values()) <= MAX_LEVELS
    for room in ROOMS:
        assert max(levels(within(graph, f"turnwire.{room.replace('/', '.')}")).values()) <= MAX_LEVELS
    sizes = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in files.items()}
    assert {module: size for module, size in sizes.items() if size > MAX_FILE_LINES} == {}


def seed(folder: Path, files: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return import_graph(source_files(folder))


def test_a_seeded_import_circle_is_found_even_if_it_is_only_for_types(tmp_path: Path) -> None:
    graph = seed(
        tmp_path,
        {
            "gateway/live/a.py": "from turnwire.gateway.live import b\n",
            "gateway/live/b.py": "if TYPE_CHECKING:\n    from turnwire.gateway.live.a import A\n",
            "gateway/live/c.py": "from turnwire.gateway.live.b import B\n",
        },
    )
    assert circles(graph) == [["turnwire.gateway.live.a", "turnwire.gateway.live.b"]]


def test_a_seeded_upward_import_is_found(tmp_path: Path) -> None:
    graph = seed(
        tmp_path,
        {
            "gateway/live/state.py": "def f():\n    from turnwire.gateway.sockets.publisher import P\n",
            "gateway/sockets/publisher.py": "import turnwire.gateway.live.state\n",
        },
    )
    assert beyond(graph) == {"turnwire.gateway.live.state": ["turnwire.gateway.sockets.publisher"]}
