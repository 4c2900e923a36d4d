"""Graphs in which something breaks."""

from __future__ import annotations

from typing import Any, Set

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import RetryPolicy
from scripted_model import speaks, words


def _err() -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("good", speaks(words("good", 2)))
    builder.add_node("bad", speaks([*words("half", 4)[:-1], ValueError("model blew up half way")]))
    builder.add_edge(START, "good")
    builder.add_edge("good", "bad")
    return builder.compile()


def _nodeerr() -> Any:
    speak = speaks(words("tok", 3))

    async def node(state: MessagesState, config: RunnableConfig) -> Any:
        await speak(state, config)
        raise ValueError("node failed after its model")

    builder = StateGraph(MessagesState)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    return builder.compile()


def _retry() -> Any:
    tried: Set[str] = set()
    failing = speaks([*words("first", 2)[:-1], RuntimeError("first attempt dies")])
    succeeding = speaks(words("second", 2))

    async def node(state: MessagesState, config: RunnableConfig) -> Any:
        run = str(config["metadata"]["run_id"])
        if run not in tried:
            tried.add(run)
            return await failing(state, config)
        return await succeeding(state, config)

    builder = StateGraph(MessagesState)
    policy = RetryPolicy(max_attempts=2, initial_interval=0.01, jitter=False, retry_on=RuntimeError)
    builder.add_node("node", node, retry_policy=policy)
    builder.add_edge(START, "node")
    return builder.compile()


#: A model that dies half way through the second message.
err = _err()

#: A node that raises after its model has finished.
nodeerr = _nodeerr()

#: A node that is tried again after its model died half way.
retry = _retry()
