"""Graphs that are slow, silent, or that tell what they were given."""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, TypedDict

from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime
from scripted_model import ScriptedModel, paced, texts, words
from typing_extensions import Annotated


async def _slowly(state: MessagesState, config: RunnableConfig) -> Dict[str, Any]:
    settings = config["configurable"]
    count, word = int(settings.get("tokens", 10)), settings.get("word")
    script = words("s", count) if word is None else texts(*[word] * count)
    model = ScriptedModel(script=script, wait=paced(config, delay=0.05))
    return {"messages": [await model.ainvoke(state["messages"], config)]}


async def _silently(state: MessagesState, config: RunnableConfig) -> Dict[str, Any]:
    seconds = float(config["configurable"].get("seconds", 12))
    await asyncio.sleep(seconds)
    return {"messages": [AIMessage(f"slept {seconds}")]}


class Seen(TypedDict):
    messages: Annotated[List[AnyMessage], add_messages]
    seen: Dict[str, Any]


class Context(TypedDict, total=False):
    tenant: str


def _plain(values: Any) -> Dict[str, Any]:
    """Those that JSON can carry, without the runtime's own."""
    kinds = (str, int, float, bool, type(None))
    return {key: value for key, value in dict(values or {}).items() if key[:2] != "__" and isinstance(value, kinds)}


async def _echo(state: Seen, config: RunnableConfig, runtime: Runtime[Context]) -> Dict[str, Any]:
    seen = {
        "configurable": _plain(config.get("configurable")),
        "metadata": _plain(config.get("metadata")),
        "context": _plain(runtime.context),
        "tags": config.get("tags") or [],
        "recursion_limit": config.get("recursion_limit"),
    }
    return {"messages": [AIMessage("seen")], "seen": seen}


def _alone(name: str, node: Any, schema: Any = MessagesState, **options: Any) -> Any:
    builder = StateGraph(schema, **options)
    builder.add_node(name, node)
    builder.add_edge(START, name)
    return builder.compile()


#: ``configurable.tokens`` tokens (10), one each ``configurable.delay`` seconds (0.05); all of them are
#: ``configurable.word`` if it is given.
slow = _alone("llm", _slowly)

#: Nothing for ``configurable.seconds`` seconds (12), then one message.
silent = _alone("n", _silently)

#: Puts the config, metadata and context it was given into the state as ``seen``.
echo = _alone("echo", _echo, Seen, context_schema=Context)
