"""A graph as text: one box below the other, in the order in which they run, and lines between them.

An edge to the next box goes straight down; every other one has a lane of its own on the right, so that cycles and jumps
are told apart. What is taken on a condition is dashed.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from .narrate import clean

__all__ = ["Edge", "drawn", "edges_of", "in_running_order", "mermaid", "names_of"]

_END = "__end__"


class Edge(NamedTuple):
    """From one node to another, by their ids. ``label`` says when a conditional one is taken, if the graph tells."""

    source: str
    target: str
    conditional: bool = False
    label: str = ""


def names_of(nodes: Iterable[Mapping[str, Any]]) -> Dict[str, str]:
    """What each node is called, by its id."""
    named = {str(node.get("id")): (node.get("data") or {}) for node in nodes}
    return {key: clean(str(data.get("name") or key if isinstance(data, dict) else key)) for key, data in named.items()}


def edges_of(edges: Iterable[Mapping[str, Any]]) -> List[Edge]:
    """The edges as a server sends them."""
    return [
        Edge(str(e.get("source")), str(e.get("target")), bool(e.get("conditional")), clean(str(e.get("data") or "")))
        for e in edges
    ]


def in_running_order(ids: Sequence[str], edges: Sequence[Edge]) -> List[str]:
    """Each node after those that lead to it, as far as cycles let it; the end comes last."""
    after: Dict[str, List[str]] = {key: [] for key in ids}
    for edge in edges:
        if edge.source in after and edge.target in after:
            after[edge.source].append(edge.target)
    done: List[str] = []
    seen = set()
    for first in ids:
        if first in seen:
            continue
        seen.add(first)
        path: List[Tuple[str, Iterator[str]]] = [(first, reversed(after[first]))]
        while path:
            following = path[-1][1]
            fresh = next((one for one in following if one not in seen), None)
            if fresh is None:
                done.append(path.pop()[0])
            else:
                seen.add(fresh)
                path.append((fresh, reversed(after[fresh])))
    done.reverse()
    return sorted(done, key=lambda key: key == _END)


def mermaid(names: Mapping[str, str], edges: Sequence[Edge]) -> str:
    """The graph in the language of mermaid."""
    short = {key: f"n{number}" for number, key in enumerate(names)}
    lines = ["graph TD"]
    for key, name in names.items():
        text = name.replace('"', "#quot;")
        lines.append(f'    {short[key]}(["{text}"])' if key.startswith("__") else f'    {short[key]}["{text}"]')
    for edge in edges:
        label = f"|{edge.label.replace('|', '#124;')}|" if edge.label else ""
        arrow = "-.->" if edge.conditional else "-->"
        lines.append(f"    {short.get(edge.source, edge.source)} {arrow}{label} {short.get(edge.target, edge.target)}")
    return "\n".join(lines)


def drawn(names: Mapping[str, str], edges: Sequence[Edge]) -> List[str]:
    """The graph as lines of text."""
    order = in_running_order(list(names), edges)
    place = {key: number for number, key in enumerate(order)}
    known = [edge for edge in dict.fromkeys(edges) if edge.source in place and edge.target in place]
    straight: Dict[int, Edge] = {}
    aside: List[Edge] = []
    for edge in known:
        at = place[edge.source]
        if place[edge.target] == at + 1 and at not in straight:
            straight[at] = edge
        else:
            aside.append(edge)
    return _Picture([names[key] for key in order], place, straight, aside).lines()


class _Picture:
    def __init__(
        self, names: List[str], place: Mapping[str, int], straight: Mapping[int, Edge], aside: List[Edge]
    ) -> None:
        self._names = names
        self._straight = straight
        self._aside = [(edge, place[edge.source], place[edge.target]) for edge in aside]
        self._lanes = _lanes([(source, target) for _, source, target in self._aside])
        self._width = max(map(len, names), default=0) + 4
        self._rows: List[List[str]] = []

    def lines(self) -> List[str]:
        #: The row of each end of an edge that has a lane: (number of the edge, is it the target).
        ports: Dict[Tuple[int, bool], int] = {}
        for number, name in enumerate(self._names):
            self._box(number, name, self._ports_of(number), ports)
        first = self._width + 2 + max((len(edge.label) + 4 for edge, _, _ in self._aside if edge.label), default=2)
        for index, (edge, _, _) in enumerate(self._aside):
            self._lane(edge, first + 3 * self._lanes[index], ports[index, False], ports[index, True])
        return ["".join(row).rstrip() for row in self._rows]

    def _ports_of(self, number: int) -> List[Tuple[int, bool]]:
        """The ends at this box from top to bottom, so that few lines cross."""
        up: List[Tuple[int, Tuple[int, bool]]] = []
        down: List[Tuple[int, Tuple[int, bool]]] = []
        for index, (_, source, target) in enumerate(self._aside):
            for is_target, here, there in ((False, source, target), (True, target, source)):
                if here == number:
                    (up if there < here else down).append((self._lanes[index], (index, is_target)))
        return [port for _, port in sorted(up)] + [port for _, port in sorted(down, reverse=True)]

    def _box(self, number: int, name: str, ends: List[Tuple[int, bool]], ports: Dict[Tuple[int, bool], int]) -> None:
        inner = self._width - 2
        top = len(self._rows)
        self._row(f"┌{'─' * inner}┐")
        height = max(1, len(ends))
        for line in range(height):
            self._row(f"│{(name if line == (height - 1) // 2 else '').center(inner)}│")
        ports.update({end: top + 1 + line for line, end in enumerate(ends)})
        edge = self._straight.get(number)
        middle = inner // 2
        self._row(f"└{'─' * middle}{'─' if edge is None else '┬'}{'─' * (inner - middle - 1)}┘")
        if edge is not None:
            self._row(f" {' ' * middle}{'╎' if edge.conditional else '│'} {edge.label}")
            self._row(f" {' ' * middle}▼")
        elif number + 1 < len(self._names):
            self._row("")

    def _row(self, text: str) -> None:
        self._rows.append(list(f"  {text}"))

    def _lane(self, edge: Edge, column: int, source: int, target: int) -> None:
        across, down = ("╌", "╎") if edge.conditional else ("─", "│")
        edge_of_box = self._width + 1
        for row in range(min(source, target) + 1, max(source, target)):
            self._put(row, column, down)
        for row in (source, target):
            for at in range(edge_of_box + 1, column):
                self._put(row, at, across)
        self._put(source, edge_of_box, "├")
        self._put(target, edge_of_box + 1, "◄")
        self._put(source, column, "┐" if source < target else "┘")
        self._put(target, column, "┘" if source < target else "┐")
        for offset, letter in enumerate(f" {edge.label} " if edge.label else ""):
            self._rows[source][edge_of_box + 2 + offset] = letter

    def _put(self, row: int, column: int, glyph: str) -> None:
        line = self._rows[row]
        line.extend(" " * (column + 1 - len(line)))
        before = line[column]
        crossing = {before, glyph} & set("─╌") and {before, glyph} & set("│╎") and column > self._width + 1
        line[column] = "┼" if crossing else glyph


def _lanes(spans: Sequence[Tuple[int, int]]) -> List[int]:
    """A lane for each span, counted from the boxes: short spans are near, and spans that meet have different ones."""
    chosen: Dict[int, int] = {}
    by_length = sorted(range(len(spans)), key=lambda index: abs(spans[index][0] - spans[index][1]))
    for index in by_length:
        low, high = sorted(spans[index])
        taken = {lane for other, lane in chosen.items() if min(spans[other]) <= high and low <= max(spans[other])}
        chosen[index] = next(lane for lane in range(len(spans)) if lane not in taken)
    return [chosen[index] for index in range(len(spans))]
