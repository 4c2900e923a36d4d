"""A graph as text: every node once, in running order, and every edge from its source to its target."""

from __future__ import annotations

from typing import Any, List

import pytest

from lgsync.cli.drawing import Edge, drawn, edges_of, in_running_order, mermaid, names_of

AGENT = [
    Edge("__start__", "agent"),
    Edge("agent", "__end__", True),
    Edge("agent", "tools", True),
    Edge("tools", "agent"),
]


def picture(edges: List[Edge], *ids: str) -> List[str]:
    return drawn({key: key for key in ids}, edges)


def test_an_agent_and_its_tools_are_drawn_with_their_cycle():
    assert "\n".join(picture(AGENT, "__start__", "agent", "tools", "__end__")) == (
        """\
  ┌───────────┐
  │ __start__ │
  └─────┬─────┘
        │
        ▼
  ┌───────────┐
  │   agent   ├╌╌╌╌╌┐
  │           │◄─┐  ╎
  └─────┬─────┘  │  ╎
        ╎        │  ╎
        ▼        │  ╎
  ┌───────────┐  │  ╎
  │   tools   ├──┘  ╎
  └───────────┘     ╎
                    ╎
  ┌───────────┐     ╎
  │  __end__  │◄╌╌╌╌┘
  └───────────┘"""
    )


def test_a_node_comes_after_those_that_lead_to_it_and_the_end_last():
    ids = ["__end__", "d", "c", "b", "a", "__start__"]
    edges = [Edge(*pair) for pair in (("__start__", "a"), ("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))]
    order = in_running_order(["__start__", *ids[:-1]], edges)
    assert order[0] == "__start__"
    assert order[-1] == "__end__"
    assert order.index("a") < min(order.index("b"), order.index("c")) < max(order.index("b"), order.index("c"))
    assert max(order.index("b"), order.index("c")) < order.index("d")


@pytest.mark.parametrize(
    "edges",
    [
        [],
        [Edge("a", "a")],
        [Edge("a", "b"), Edge("b", "a")],
        [Edge("a", "b"), Edge("b", "c"), Edge("c", "a"), Edge("a", "c"), Edge("b", "b", True)],
        [Edge("a", "nowhere")],
    ],
    ids=["alone", "to itself", "there and back", "tangled", "to a node that is not told"],
)
def test_every_node_is_drawn_once_whatever_the_edges(edges):
    lines = picture(edges, "a", "b", "c")
    for name in "abc":
        assert sum(f" {name} " in line for line in lines) == 1
    known = [edge for edge in edges if edge.target in "abc"]
    assert sum(line.count("◄") + line.count("▼") for line in lines) == len(known)


def test_a_label_stands_where_its_edge_begins():
    lines = picture([Edge("a", "b", True, "yes"), Edge("a", "c", True, "no")], "a", "b", "c")
    assert any("a" in line and "╌ no ╌" in line for line in lines)
    assert any("╎ yes" in line for line in lines)


def test_a_long_chain_is_no_deep_recursion():
    ids = [f"n{number}" for number in range(3000)]
    edges = [Edge(one, other) for one, other in zip(ids, ids[1:])]
    assert in_running_order(ids, edges) == ids


def test_names_of_the_server_bring_no_control_characters():
    nodes: List[Any] = [{"id": "x", "data": {"name": "a\x1b[31m"}}, {"id": "y", "data": "b"}, {"id": "z"}]
    assert names_of(nodes) == {"x": "a[31m", "y": "y", "z": "z"}
    assert edges_of([{"source": "x", "target": "y", "data": "l\x07", "conditional": True}]) == [
        Edge("x", "y", True, "l")
    ]


def test_mermaid_tells_the_same_graph():
    names = {"__start__": "__start__", "agent": 'the "agent"'}
    assert mermaid(names, [Edge("__start__", "agent", True, "a|b")]).splitlines() == [
        "graph TD",
        '    n0(["__start__"])',
        '    n1["the #quot;agent#quot;"]',
        "    n0 -.->|a#124;b| n1",
    ]
