"""Forms of a graph: NetworkX, GraphML, Mermaid, DOT, and pictures by Graphviz."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MemoriError
from ..model import Triple

if TYPE_CHECKING:
    import networkx

    from .graph import Graph

_PICTURES = (".svg", ".png", ".pdf")
ENDINGS = frozenset((".mmd", ".dot", ".gv", ".graphml", *_PICTURES))
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def networkx_graph(graph: Graph) -> networkx.MultiDiGraph[Any]:
    """A `networkx.MultiDiGraph`; spellings of one node that differ in case alone are one node."""
    networkx = _imported("networkx")
    made = networkx.MultiDiGraph()
    for name, kind in graph.nodes.items():
        made.add_node(name, type=kind)
    for subject, triple, target in _edges(graph):
        made.add_edge(subject, target, predicate=triple.predicate)
    return made  # type: ignore[no-any-return]


def graphml(graph: Graph) -> str:
    """GraphML, without the control characters that XML has no way to write."""
    networkx = _imported("networkx")
    made = networkx.MultiDiGraph()
    for name, kind in graph.nodes.items():
        made.add_node(_for_xml(name), type=_for_xml(kind))
    for subject, triple, target in _edges(graph):
        made.add_edge(_for_xml(subject), _for_xml(target), predicate=_for_xml(triple.predicate))
    return "\n".join(networkx.generate_graphml(made)) + "\n"


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart. Names are data: quoted, with Mermaid's own entities for what would end the quotes."""
    numbers = {name: f"n{number}" for number, name in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    lines += [f'    {numbers[name]}["{_for_mermaid(name)}"]' for name in numbers]
    lines += [
        f'    {numbers[subject]} -->|"{_for_mermaid(triple.predicate)}"| {numbers[target]}'
        for subject, triple, target in _edges(graph)
    ]
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """A digraph in Graphviz's language."""
    numbers = {name: f"n{number}" for number, name in enumerate(graph.nodes)}
    lines = ["digraph memory {", "    rankdir=LR;", '    node [shape=box, style=rounded, fontname="Helvetica"];']
    lines += [f"    {numbers[name]} [label={_for_dot(name)}];" for name in numbers]
    lines += [
        f"    {numbers[subject]} -> {numbers[target]} [label={_for_dot(triple.predicate)}];"
        for subject, triple, target in _edges(graph)
    ]
    return "\n".join([*lines, "}"]) + "\n"


def write(graph: Graph, path: Path) -> None:
    """Write the form that the path's ending names."""
    ending = path.suffix.casefold()
    if ending in _PICTURES:
        path.write_bytes(_picture(dot(graph), ending.removeprefix(".")))
        return
    form = {".mmd": mermaid, ".graphml": graphml}.get(ending, dot)
    path.write_text(form(graph), encoding="utf-8")


def _picture(source: str, form: str) -> bytes:
    graphviz = _imported("graphviz")
    try:
        drawn: bytes = graphviz.Source(source).pipe(format=form)
    except graphviz.ExecutableNotFound:
        raise MemoriError(
            "A picture needs Graphviz's `dot` program, which is not on the PATH. Install it (apt install graphviz, "
            "brew install graphviz), or write the graph as .mmd or .dot, which needs nothing."
        ) from None
    return drawn


def _imported(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise MemoriError(f"This needs {name}: pip install 'memori-core[graph]'") from None


def _edges(graph: Graph) -> list[tuple[str, Triple, str]]:
    """Each triple between the nodes as they are written everywhere."""
    written = {name.strip().casefold(): name for name in graph.nodes}
    return [
        (written[triple.subject.strip().casefold()], triple, written[triple.object.strip().casefold()])
        for triple in graph
    ]


def _for_xml(text: str) -> str:
    return _NO_XML.sub("", text)


def _for_mermaid(text: str) -> str:
    # Entities end with a semicolon and begin with a hash, so those go first.
    text = " ".join(text.split())
    return "".join(char if char.isalnum() or char in " -_.,'/()+" else f"#{ord(char)};" for char in text)


def _for_dot(text: str) -> str:
    # In DOT a backslash in a quoted text begins an escape of its own, so each is doubled.
    return json.dumps(" ".join(text.split()), ensure_ascii=False)
