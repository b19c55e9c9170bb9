"""Print the figures of the layout: `make house`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.house.tree import Graph, circles, function_lengths, import_graph, levels, rooms_of, source_files, within

ROOT = Path(__file__).parents[2]


def depth(graph: Graph) -> int:
    return max(levels(graph).values())


def main() -> None:
    files = source_files(ROOT)
    graph = import_graph(files)
    folders = Counter(str(path.parent.relative_to(ROOT)) for path in files.values())
    widest, width = folders.most_common(1)[0]
    sizes = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in files.items()}
    longest = max(sizes, key=lambda module: sizes[module])
    lengths = sorted(length for path in files.values() for length in function_lengths(path))
    gateway = within(graph, "turnwire.gateway")
    rooms = rooms_of(gateway)
    deepest = max(
        rooms.keys() - {"gateway"}, key=lambda room: depth(within(graph, "turnwire." + room.replace("/", ".")))
    )
    print(f"files {len(files)}, lines {sum(sizes.values())}")
    print(f"circles {len(circles(graph))}")
    print(f"widest folder {widest}: {width} files")
    print(f"levels of rooms in gateway {depth(rooms)}, rooms {len(rooms)}")
    print(f"levels inside the deepest room, {deepest}: {depth(within(graph, 'turnwire.' + deepest.replace('/', '.')))}")
    print(f"longest chain of files in gateway {depth(gateway)}, in all {depth(graph)}")
    print(f"longest file {longest}: {sizes[longest]} lines")
    print(
        f"functions {len(lengths)}: median {lengths[len(lengths) // 2]} lines, p90 {lengths[len(lengths) * 9 // 10]}, "
        f"over 40: {sum(length > 40 for length in lengths)}"
    )


main()
