"""An entity's knowledge as a graph: who is near whom, which ways lead there, and forms to take it away in."""

from __future__ import annotations

import io
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memori import Attribution, Memori, MemoriError, Message, Triple
from memori.keys import new_key
from memori.knowledge.graph import Graph
from memori.model import Fact
from memori.storage.records import FactChanges, NewFact, Retirement

ADA_LIVES = Triple("Ada", "lives in", "Porto", "PERSON", "GPE")
BEN_LIVES = Triple("Ben", "lives in", "Porto", "PERSON", "GPE")
ADA_WORKS = Triple("ADA", "works at", "the harbour")
BEN_KNOWS = Triple("Ben", "knows", "Cy", "", "PERSON")
GRAPH = Graph([ADA_LIVES, BEN_LIVES, ADA_WORKS, BEN_KNOWS, ADA_LIVES])

NAMES = st.text(min_size=1, max_size=12).filter(lambda name: name.strip())
TRIPLES = st.lists(st.builds(Triple, NAMES, NAMES, NAMES, NAMES), max_size=8)


def test_a_node_is_one_however_its_name_is_written_and_a_triple_is_there_once():
    assert GRAPH == [ADA_LIVES, BEN_LIVES, ADA_WORKS, BEN_KNOWS]
    assert GRAPH.nodes == {"Ada": "PERSON", "Porto": "GPE", "Ben": "PERSON", "the harbour": "", "Cy": "PERSON"}
    assert repr(GRAPH) == "Graph(5 nodes, 4 triples)"


def test_neighbours_are_the_nearest_first_in_either_direction():
    assert GRAPH.neighbours("porto") == [ADA_LIVES, BEN_LIVES]
    assert GRAPH.neighbours("Cy", hops=2) == [BEN_KNOWS, BEN_LIVES]
    assert set(GRAPH.neighbours("Cy", hops=4)) == set(GRAPH)
    assert GRAPH.neighbours("nobody") == []
    with pytest.raises(ValueError, match="hops must be at least 1, got 0"):
        GRAPH.neighbours("Ada", hops=0)


def test_paths_are_the_shortest_first_and_pass_no_node_twice():
    around = Graph([*GRAPH, Triple("Ada", "married", "Cy")])

    assert GRAPH.paths("Ada", "Cy") == [[ADA_LIVES, BEN_LIVES, BEN_KNOWS]]
    assert [len(way) for way in around.paths("ada", "cy")] == [1, 3]
    assert around.paths("ada", "cy", limit=1) == [[Triple("Ada", "married", "Cy")]]
    assert GRAPH.paths("Ada", "Cy", longest=2) == []
    assert GRAPH.paths("Ada", "Ada") == []


@settings(deadline=None)
@given(TRIPLES)
def test_paths_join_exactly_what_neighbours_reach(triples):
    graph = Graph(triples)
    nodes = list(graph.nodes)
    for start in nodes[:2]:
        near = {
            name.strip().casefold() for one in graph.neighbours(start, hops=2) for name in (one.subject, one.object)
        }
        for end in nodes:
            reached = bool(graph.paths(start, end, longest=2, limit=1))
            assert reached == (end.strip().casefold() in near - {start.strip().casefold()})


@settings(deadline=None)
@given(TRIPLES)
def test_every_form_is_well_formed_whatever_the_names_are(triples):
    graph = Graph(triples)

    read = networkx.read_graphml(io.BytesIO(graph.to_graphml().encode()), force_multigraph=True)
    assert read.number_of_edges() == len(graph)
    assert graph.to_networkx().number_of_nodes() == len(graph.nodes)
    assert graph.to_mermaid().count('"') % 2 == 0
    assert len(graph.to_mermaid().splitlines()) == 1 + len(graph.nodes) + len(graph)
    assert len(graph.to_dot().splitlines()) == 4 + len(graph.nodes) + len(graph)


def test_a_name_cannot_write_a_node_of_its_own():
    graph = Graph([Triple('a"]\n x --> y["', "likes", '"]; evil [label="b')])

    assert graph.to_mermaid() == (
        "flowchart LR\n"
        '    n0["a#34;#93; x --#62; y#91;#34;"]\n'
        '    n1["#34;#93;#59; evil #91;label#61;#34;b"]\n'
        '    n0 -->|"likes"| n1\n'
    )
    assert 'label="a\\"] x --> y[\\""' in graph.to_dot()


@pytest.mark.parametrize("ending", ["mmd", "dot", "gv", "graphml"])
def test_a_file_holds_the_form_its_ending_names(tmp_path, ending):
    path = GRAPH.save(tmp_path / f"memory.{ending}")

    begins = {"mmd": "flowchart", "graphml": "<graphml"}.get(ending, "digraph")
    assert path.read_text(encoding="utf-8").startswith(begins)


def test_a_picture_is_drawn_where_graphviz_is_and_says_what_is_missing_where_not(tmp_path, monkeypatch):
    if shutil.which("dot"):
        drawn = ElementTree.fromstring(GRAPH.save(tmp_path / "memory.svg").read_text())
        assert "Porto" in "".join(drawn.itertext())
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MemoriError, match="`dot` program"):
        GRAPH.save(tmp_path / "memory.svg")


def test_an_unknown_ending_and_a_missing_library_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(MemoriError, match=r"cannot be written as '\.xls'. Endings are \.dot, \.graphml"):
        GRAPH.save(tmp_path / "memory.xls")
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(MemoriError, match=r"pip install 'memori-core\[graph\]'"):
        GRAPH.to_networkx()


def test_memori_answers_with_an_entitys_graph_now_and_then(memori: Memori):
    ada, bob = Attribution("ada"), Attribution("bob")
    began = datetime(2026, 3, 1, tzinfo=UTC)
    moved = began + timedelta(days=30)
    for who in (ada, bob):
        memori.record([Message("user", "hello")], attribution=who)
    old, new = (
        NewFact(
            Fact(new_key(), f"Ada lives in {place}.", "attribute", said_at=when, valid_from=when),
            place.casefold(),
            new_key(),
            triples=(Triple("Ada", "lives in", place),),
        )
        for place, when in (("Lisbon", began), ("Porto", moved))
    )
    storage = memori.config.storage
    who = Attribution("ada", namespace="default")
    storage.apply(who, FactChanges((old,)), expected=None, now=began)
    gone = Retirement(old.fact.id, "superseded", new.fact.id, moved)
    storage.apply(who, FactChanges((new,), (gone,)), expected=None, now=moved)

    assert memori.graph("ada") == memori.graph(attribution=ada) == list(new.triples)
    assert memori.graph("ada", as_of=began + timedelta(days=1)) == list(old.triples)
    assert memori.graph("bob") == []
    with pytest.raises(TypeError, match="not both"):
        memori.graph("ada", attribution=ada)
