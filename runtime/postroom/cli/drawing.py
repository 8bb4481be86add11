"""Pictures of a wiring: as Mermaid text, and as SVG, which needs no browser and no other program.

Events and subscriptions are nodes; an event points to who hears it, a subscription to what it emits. The layout is the
simplest that is read well: columns from left to right, each node right of what points to it, and in a column near
what it is tied to.

Units: pixels.
Source: layered drawing of directed graphs (Sugiyama, Tagawa and Toda, 1981), without its dummy nodes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

import attrs

from .output import safe
from .wiring import Wiring

LETTER: Final = 7.3
"""The width of one, in the fixed-width type at 12."""

HEIGHT: Final = 30
ROW: Final = 46
GAP: Final = 70
EDGE: Final = 20
SWEEPS: Final = 4

_HEAD: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" \
font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12" role="img">
<title>{title}</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">\
<path d="M0 0 L8 4 L0 8 z" fill="#667"/></marker></defs>
<rect width="100%" height="100%" fill="#fff"/>"""


@attrs.frozen
class Node:
    """An event or a subscription.

    Attributes:
        id: Tells it from others; an event and a subscription may have one name.
        kind: `event`, `unheard` for an event that nobody hears, or `subscription`.
    """

    id: str
    name: str
    kind: str


@attrs.frozen
class Graph:
    """Nodes, and edges by their ids."""

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]


def graph_of(wiring: Wiring) -> Graph:
    """The graph of a wiring."""
    events = {each.name: f"e{number}" for number, each in enumerate(wiring.events)}
    subscriptions = {each.name: f"s{number}" for number, each in enumerate(wiring.subscriptions)}
    nodes = [
        *(Node(events[each.name], each.name, "event" if each.heard_by else "unheard") for each in wiring.events),
        *(Node(subscriptions[each.name], each.name, "subscription") for each in wiring.subscriptions),
    ]
    edges = [
        *((events[each.name], subscriptions[name]) for each in wiring.events for name in each.heard_by),
        *((subscriptions[each.name], events[name]) for each in wiring.subscriptions for name in each.emits),
    ]
    return Graph(wiring.app, tuple(nodes), tuple(edges))


def mermaid(graph: Graph) -> str:
    """The graph as Mermaid text, with a line end."""
    shapes = {"event": '{}(["{}"])', "unheard": '{}(["{}"]):::unheard', "subscription": '{}["{}"]'}
    lines = ["flowchart LR"]
    lines += [f"    {shapes[node.kind].format(node.id, _for_mermaid(node.name))}" for node in graph.nodes]
    lines += [f"    {one} --> {other}" for one, other in graph.edges]
    if any(node.kind == "unheard" for node in graph.nodes):
        lines.append("    classDef unheard stroke-dasharray: 4 3")
    return "\n".join(lines) + "\n"


def _for_mermaid(name: str) -> str:
    return "".join(char if char.isalnum() or char in " ._-*" else f"#{ord(char)};" for char in safe(name))


def svg(graph: Graph) -> str:
    """The graph as an SVG document, with a line end."""
    columns = layout(graph)
    widths = {node.id: len(safe(node.name)) * LETTER + 2 * EDGE for node in graph.nodes}
    places: dict[str, tuple[float, float]] = {}
    left = float(EDGE)
    tallest = max((len(column) for column in columns), default=1)
    for column in columns:
        wide = max(widths[each] for each in column)
        top = EDGE + (tallest - len(column)) * ROW / 2
        for row, each in enumerate(column):
            places[each] = (left, top + row * ROW)
        left += wide + GAP
    width, height = left - (GAP if columns else 0) + EDGE, 2 * EDGE + (tallest - 1) * ROW + HEIGHT
    head = _HEAD.format(width=round(width), height=round(height), title=escape(safe(f"What is wired in {graph.title}")))
    edges = [_edge(places[one], widths[one], places[other]) for one, other in graph.edges]
    nodes = [_node(node, places[node.id], widths[node.id]) for node in graph.nodes]
    return "\n".join([head, *edges, *nodes, "</svg>"]) + "\n"


def _edge(one: tuple[float, float], width: float, other: tuple[float, float]) -> str:
    x, y = one[0] + width, one[1] + HEIGHT / 2
    to_x, to_y = other[0], other[1] + HEIGHT / 2
    bend = max(GAP / 2, abs(to_x - x) / 2)
    return (
        f'<path d="M{x:.0f} {y:.0f} C{x + bend:.0f} {y:.0f} {to_x - bend:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}" '
        'fill="none" stroke="#667" marker-end="url(#tip)"/>'
    )


def _node(node: Node, place: tuple[float, float], width: float) -> str:
    x, y = place
    fill, radius = ("#e8eefc", 4) if node.kind == "subscription" else ("#f3f4f6", HEIGHT // 2)
    dashes = ' stroke-dasharray="4 3"' if node.kind == "unheard" else ""
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="{radius}" fill="{fill}" '
        f'stroke="#445"{dashes}/><text x="{x + width / 2:.0f}" y="{y + HEIGHT / 2 + 4:.0f}" text-anchor="middle" '
        f'fill="#112">{escape(safe(node.name))}</text>'
    )


def layout(graph: Graph) -> list[list[str]]:
    """The ids of the nodes in columns, each from the top."""
    following: dict[str, list[str]] = {node.id: [] for node in graph.nodes}
    for one, other in graph.edges:
        following[one].append(other)
    forward = [(one, other) for one, other in graph.edges if (one, other) not in _back_edges(following)]
    depth = dict.fromkeys(following, 0)
    for _ in following:  # the longest way to each; as many rounds as there are nodes are enough
        changed = False
        for one, other in forward:
            if depth[other] < depth[one] + 1:
                depth[other] = depth[one] + 1
                changed = True
        if not changed:
            break
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for each, column in depth.items():
        columns[column].append(each)
    neighbours: dict[str, list[str]] = {each: [] for each in following}
    for one, other in graph.edges:
        neighbours[one].append(other)
        neighbours[other].append(one)
    for _ in range(SWEEPS):
        rows = {each: row - len(column) / 2 for column in columns for row, each in enumerate(column)}
        columns = [_sorted_by_neighbours(column, neighbours, rows) for column in columns]
    return columns


def _sorted_by_neighbours(
    column: Sequence[str], neighbours: Mapping[str, Iterable[str]], rows: Mapping[str, float]
) -> list[str]:
    def middle(each: str) -> float:
        own = [rows[other] for other in neighbours[each]]
        return sum(own) / len(own) if own else rows[each]

    return sorted(column, key=middle)


def _back_edges(following: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
    """Edges without which there is no circle."""
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    for root in following:
        path: dict[str, int] = {root: 0}
        stack = [] if root in done else [root]
        while stack:
            each = stack[-1]
            position = path.setdefault(each, 0)
            if position == len(following[each]):
                stack.pop()
                del path[each]
                done.add(each)
                continue
            path[each] += 1
            other = following[each][position]
            if other in path:
                found.add((each, other))
            elif other not in done:
                stack.append(other)
    return found
