"""Triples as a graph: who is what to whom, step by step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ..errors import MemoriError
from ..model import Triple

if TYPE_CHECKING:
    import networkx

_LONGEST_PATH = 4


class Graph(Sequence[Triple]):
    """An entity's triples, each once, in the order in which they were learnt.

    Names of nodes are compared without regard to case: "ada" is the node "Ada". A graph is a sequence of triples and
    equals any other sequence of the same ones.
    """

    def __init__(self, triples: Sequence[Triple] = ()) -> None:
        self._triples = tuple(dict.fromkeys(triples))
        self._touching: dict[str, list[Triple]] = {}
        for triple in self._triples:
            for node in dict.fromkeys((_key(triple.subject), _key(triple.object))):
                self._touching.setdefault(node, []).append(triple)

    @overload
    def __getitem__(self, index: int) -> Triple: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Triple, ...]: ...
    def __getitem__(self, index: int | slice) -> Triple | tuple[Triple, ...]:
        return self._triples[index]

    def __len__(self) -> int:
        return len(self._triples)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return self._triples == tuple(other)

    def __hash__(self) -> int:
        return hash(self._triples)

    def __repr__(self) -> str:
        return f"Graph({len(self.nodes)} nodes, {len(self)} triples)"

    @property
    def nodes(self) -> dict[str, str]:
        """The type of every node by its name, as it was written first; "" where the type is not known."""
        written: dict[str, str] = {}
        types: dict[str, str] = {}
        for triple in self._triples:
            for name, kind in ((triple.subject, triple.subject_type), (triple.object, triple.object_type)):
                name = written.setdefault(_key(name), name)
                types[name] = types.get(name) or kind
        return types

    def neighbours(self, node: str, *, hops: int = 1) -> list[Triple]:
        """The triples within so many steps of a node, in either direction, nearest first. Unknown nodes have none."""
        if hops < 1:
            raise ValueError(f"hops must be at least 1, got {hops}.")
        found: dict[Triple, None] = {}
        reached, edge = {_key(node)}, [_key(node)]
        for _ in range(hops):
            near = [triple for name in edge for triple in self._touching.get(name, ())]
            found.update(dict.fromkeys(near))
            edge = [name for name in dict.fromkeys(_ends(near)) if name not in reached]
            reached.update(edge)
        return list(found)

    def paths(self, start: str, end: str, *, longest: int = _LONGEST_PATH, limit: int = 10) -> list[list[Triple]]:
        """The ways from one node to another, shortest first, whichever way a triple points; no node comes twice.

        `longest`: the most triples of a way (4 by default); `limit`: the most ways.
        """
        goal = _key(end)
        ways: list[list[Triple]] = []
        waiting: deque[tuple[str, list[Triple], frozenset[str]]] = deque([(_key(start), [], frozenset([_key(start)]))])
        while waiting and len(ways) < limit:
            at, way, passed = waiting.popleft()
            if at == goal and way:
                ways.append(way)
                continue
            if len(way) == longest:
                continue
            for triple in self._touching.get(at, ()):
                subject, target = _key(triple.subject), _key(triple.object)
                onward = target if subject == at else subject
                if onward not in passed:
                    waiting.append((onward, [*way, triple], passed | {onward}))
        return ways

    def to_networkx(self) -> networkx.MultiDiGraph[Any]:
        """A directed multigraph: nodes with `type`, edges with `predicate`. Needs `memori-core[graph]`."""
        from .formats import networkx_graph

        return networkx_graph(self)

    def to_graphml(self) -> str:
        """The graph as GraphML, for Gephi, yEd and others. Needs `memori-core[graph]`."""
        from .formats import graphml

        return graphml(self)

    def to_mermaid(self) -> str:
        """The graph as a Mermaid flowchart, which Markdown viewers draw."""
        from .formats import mermaid

        return mermaid(self)

    def to_dot(self) -> str:
        """The graph in Graphviz's language."""
        from .formats import dot

        return dot(self)

    def save(self, path: str | Path) -> Path:
        """Write the graph in the form that the file's ending names, and return the path.

        `.mmd`, `.dot` and `.gv` need nothing; `.graphml` needs `memori-core[graph]`; `.svg`, `.png` and `.pdf` need it
        and Graphviz's `dot` program. Raises `MemoriError` for another ending, or naming what is missing.
        """
        from .formats import ENDINGS, write

        target = Path(path)
        if target.suffix.casefold() not in ENDINGS:
            raise MemoriError(
                f"A graph cannot be written as {target.suffix or 'a file without an ending'!r}. "
                f"Endings are {', '.join(sorted(ENDINGS))}."
            )
        write(self, target)
        return target


def _key(name: str) -> str:
    return name.strip().casefold()


def _ends(triples: Sequence[Triple]) -> Iterator[str]:
    for triple in triples:
        yield _key(triple.subject)
        yield _key(triple.object)
