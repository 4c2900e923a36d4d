"""Graphs whose model calls tools."""

from __future__ import annotations

from typing import Any, List

from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from scripted_model import ScriptedModel, calling, ending, paced, said, words


@tool
def search(query: str) -> str:
    """Look something up."""
    return f"It is 54F and partly cloudy in {query}"


@tool
def broken(query: str) -> str:
    """Fail."""
    raise ValueError(f"no weather for {query}")


def _call(name: str, number: int) -> List[Any]:
    return calling(name, f"toolu_{number + 1}", number, '{"query"', ': "weather', f' in city{number}"}}')


def _agent(first: List[Any], *tools: Any) -> Any:
    async def agent(state: MessagesState, config: RunnableConfig) -> Any:
        answered = isinstance(state["messages"][-1], ToolMessage)
        model = ScriptedModel(script=words("tok", 6) if answered else first, wait=paced(config))
        return {"messages": [await model.ainvoke(state["messages"], config)]}

    builder = StateGraph(MessagesState)
    builder.add_node("agent", agent)
    builder.add_node("tools", ToolNode(list(tools), handle_tool_errors=True))
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", tools_condition, ["tools", END])
    builder.add_edge("tools", "agent")
    return builder.compile()


#: One tool call with growing arguments, its result, and a streamed answer.
agent = _agent([*_call("search", 0), ending("tool_calls", 4)], search)

#: Text and two tool calls in one message, two results, and a streamed answer.
ptools = _agent(
    [said("let me look "), *_call("search", 0), *_call("search", 1), ending("tool_calls", 4)],
    search,
)

#: A tool that raises; the tool node makes an error message of it.
failtool = _agent([*_call("broken", 0), ending("tool_calls", 4)], broken)

#: Arguments cut inside a \\u escape and between the halves of a surrogate pair.
escapes = _agent(
    [
        *calling("search", "toolu_1", 0, '{"query": "\\u00', "e9t\\u00e9 \\ud83d", '\\ude00"}'),
        ending("tool_calls", 4),
    ],
    search,
)
