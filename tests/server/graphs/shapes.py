"""Graphs of several nodes: a subgraph, nodes side by side, one node many times over."""

from __future__ import annotations

import operator
from typing import Any, Callable, Dict, List, TypedDict

from langchain_core.messages import AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send
from scripted_model import ScriptedModel, TakingTurns, paced, speaks, words
from typing_extensions import Annotated


def _subgraph() -> Any:
    inner = StateGraph(MessagesState)
    inner.add_node("inner_llm", speaks(words("inner", 3)))
    inner.add_edge(START, "inner_llm")
    builder = StateGraph(MessagesState)
    builder.add_node("child", inner.compile())
    builder.add_node("outer_llm", speaks(words("outer", 3)))
    builder.add_edge(START, "child")
    builder.add_edge("child", "outer_llm")
    return builder.compile()


def _in_turn(turns: TakingTurns, party: int, stem: str, count: int) -> Callable[..., Any]:
    async def node(state: Any, config: RunnableConfig) -> Dict[str, Any]:
        model = ScriptedModel(script=words(stem, count), wait=turns.wait_as(party, config, paced(config)))
        return {"messages": [await model.ainvoke([], config)]}

    return node


def _side_by_side() -> Any:
    turns = TakingTurns(2)
    builder = StateGraph(MessagesState)
    for party, name in enumerate("ab"):
        builder.add_node(name, _in_turn(turns, party, name.upper(), 6))
        builder.add_edge(START, name)
    return builder.compile()


class FanState(TypedDict):
    messages: Annotated[List[AnyMessage], add_messages]
    topics: Annotated[List[str], operator.add]


def _fan_out() -> Any:
    topics = ["x", "y", "z"]
    turns = TakingTurns(len(topics))

    async def worker(state: Dict[str, Any], config: RunnableConfig) -> Dict[str, Any]:
        party = state["party"]
        said = await _in_turn(turns, party, topics[party].upper(), 3)(state, config)
        return {**said, "topics": [topics[party]]}

    builder = StateGraph(FanState)
    builder.add_node("worker", worker)
    builder.add_conditional_edges(
        START, lambda state: [Send("worker", {"party": party}) for party in range(len(topics))], ["worker"]
    )
    return builder.compile()


#: A subgraph whose model streams, then a model of the outer graph.
sub = _subgraph()

#: Two nodes in one step, whose models speak in turn.
parallel = _side_by_side()

#: Three runs of one node in one step (Send), whose models speak in turn.
fanout = _fan_out()
