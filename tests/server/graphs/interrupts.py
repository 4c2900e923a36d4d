"""Graphs that stop and ask."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from scripted_model import speaks, words


def _asks(question: str) -> Any:
    async def ask(state: MessagesState) -> Any:
        return {"messages": [HumanMessage(f"human said {interrupt({'q': question})}")]}

    return ask


def _hitl() -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("draft", speaks(words("draft", 3)))
    builder.add_node("ask", _asks("ok?"))
    builder.add_node("fin", speaks(words("final", 3)))
    builder.add_edge(START, "draft")
    builder.add_edge("draft", "ask")
    builder.add_edge("ask", "fin")
    return builder.compile()


def _hitl2() -> Any:
    builder = StateGraph(MessagesState)
    for name in ("left", "right"):
        builder.add_node(name, _asks(f"{name}?"))
        builder.add_edge(START, name)
    builder.add_node("fin", speaks(words("final", 3)))
    builder.add_edge(["left", "right"], "fin")
    return builder.compile()


def _hitlsub() -> Any:
    async def ask(state: MessagesState) -> Any:
        return {"messages": [AIMessage(f"sub got {interrupt({'q': 'sub?'})}")]}

    inner = StateGraph(MessagesState)
    inner.add_node("ask", ask)
    inner.add_edge(START, "ask")
    builder = StateGraph(MessagesState)
    builder.add_node("child", inner.compile())
    builder.add_edge(START, "child")
    return builder.compile()


#: A model, a question, a model.
hitl = _hitl()

#: Two nodes that ask in one step.
hitl2 = _hitl2()

#: A question asked inside a subgraph.
hitlsub = _hitlsub()
