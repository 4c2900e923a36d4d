"""The agents that ``lgsync demo`` talks to; the server's process loads this file, lgsync itself never imports it.

Both are scripted: they need no key and no network, and yet stream what real models do: reasoning, a tool call whose
arguments grow piece by piece, a tool result, an answer in several content blocks, token usage.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from typing import Any, AsyncIterator, Dict, Iterator, List, Optional
from uuid import uuid4

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.graph import (  # type: ignore[import-not-found,unused-ignore]  # pyright: ignore[reportMissingImports]
    END,
    START,
    MessagesState,
    StateGraph,
)
from langgraph.types import (  # type: ignore[import-not-found,unused-ignore]  # pyright: ignore[reportMissingImports]
    interrupt,
)

State = Dict[str, Any]
SECONDS_PER_TOKEN = float(os.environ.get("LGSYNC_DEMO_SECONDS_PER_TOKEN", "0.035"))

WEATHER_ANSWER = (
    "It is 57 °F and partly cloudy in {city}, with a light breeze from the west. A jacket will do.\n\n",
    "I am scripted, so it always is; but everything on the way from me to you is real: a LangGraph server ran this "
    "graph, and you saw each token the moment it was made.",
)


def tokens(text: str) -> List[str]:
    """Cut ``text`` where a model might: before each word, the space going with it."""
    return re.findall(r"\s*\S+\s*?", text) + re.findall(r"\s+$", text)


def reasoning(text: str) -> Iterator[AIMessageChunk]:
    """Think aloud, in content block 0."""
    for token in tokens(text):
        yield AIMessageChunk(content=[{"type": "reasoning", "reasoning": token, "index": 0}])


def answer(*blocks: str) -> Iterator[AIMessageChunk]:
    """Speak, in content blocks 1 and up."""
    for index, block in enumerate(blocks, start=1):
        for token in tokens(block):
            yield AIMessageChunk(content=[{"type": "text", "text": token, "index": index}])


def tool_call(name: str, **args: str) -> Iterator[AIMessageChunk]:
    """Call a tool, its JSON arguments a few characters at a time."""

    def piece(text: str, name: Optional[str] = None, call_id: Optional[str] = None) -> AIMessageChunk:
        return AIMessageChunk(content=[], tool_call_chunks=[tool_call_chunk(name=name, args=text, id=call_id, index=1)])

    yield piece("", name, f"call_{uuid4().hex[:12]}")
    for text in re.findall(r".{1,7}", json.dumps(args, ensure_ascii=False)):
        yield piece(text)


def weather_turn(messages: List[BaseMessage]) -> Iterator[AIMessageChunk]:
    """Look the weather up; or, once the tool has answered, tell it."""
    asked = next((str(message.text) for message in reversed(messages) if message.type == "human"), "")
    named = re.search(r"\bin ([A-Z][\w'-]*(?: [A-Z][\w'-]*)*)", asked)
    city = named.group(1) if named else "San Francisco"
    if isinstance(messages[-1], ToolMessage):
        yield from reasoning("The tool has answered. Now I put its numbers into a sentence or two.")
        yield from answer(*(block.format(city=city) for block in WEATHER_ANSWER))
    else:
        yield from reasoning(
            f"They ask about the weather in {city}. I cannot look out of the window, but I have a tool."
        )
        yield from tool_call("get_weather", city=city, unit="fahrenheit", detail="temperature, sky and wind")


def email_turn(messages: List[BaseMessage]) -> Iterator[AIMessageChunk]:
    """Propose to send an e-mail; or, once a human has decided, say what came of it."""
    if not isinstance(messages[-1], ToolMessage):
        yield from reasoning("An e-mail cannot be taken back, so I will ask before I send it.")
        yield from tool_call(
            "send_email", to="team@example.com", subject="Release", body="Version 1.0 is out. Thank you!"
        )
        return
    said = str(messages[-1].text)
    agreed = said.strip().lower().startswith(("y", "ok", "sure", "send", "approve"))
    yield from reasoning("A human has decided. I do as I was told.")
    yield from answer(
        f"You answered: “{said}”.\n\n",
        "So the e-mail is on its way. (Not really: I am scripted.)" if agreed else "So I have thrown the draft away.",
    )


class ScriptedModel(BaseChatModel):
    """A chat model that streams a script at the pace of a real one."""

    script: Any

    @property
    def _llm_type(self) -> str:
        return "lgsync-demo"

    def _chunks(self, messages: List[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        chunks = list(self.script(messages))
        for chunk in chunks:
            yield ChatGenerationChunk(message=chunk)
        read, written = sum(len(tokens(str(message.text))) for message in messages), len(chunks)
        count: Any = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
        yield ChatGenerationChunk(message=AIMessageChunk(content=[], usage_metadata=count))

    def _stream(self, messages: List[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            time.sleep(SECONDS_PER_TOKEN)
            yield chunk

    async def _astream(self, messages: List[BaseMessage], *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            await asyncio.sleep(SECONDS_PER_TOKEN)
            yield chunk

    def _generate(self, messages: List[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return generate_from_stream(self._stream(messages))


def tool_result(state: State, content: str) -> State:
    """What a tools node adds to the state: the answer to the last message's one tool call."""
    call = state["messages"][-1].tool_calls[0]
    return {"messages": [ToolMessage(content=content, name=call["name"], tool_call_id=call["id"])]}


async def weather_agent(state: State) -> State:
    return {"messages": [await ScriptedModel(script=weather_turn).ainvoke(state["messages"])]}


async def weather_tools(state: State) -> State:
    await asyncio.sleep(0.4)
    return tool_result(state, json.dumps({"temperature_f": 57, "sky": "partly cloudy", "wind": "west, 8 mph"}))


def after_agent(state: State) -> str:
    return "tools" if state["messages"][-1].tool_calls else END


async def email_agent(state: State) -> State:
    return {"messages": [await ScriptedModel(script=email_turn).ainvoke(state["messages"])]}


def ask_human(state: State) -> State:
    call = state["messages"][-1].tool_calls[0]
    decision = interrupt({"question": "Shall I send this e-mail?", "action": call["name"], "args": call["args"]})
    return tool_result(state, decision if isinstance(decision, str) else json.dumps(decision))


def agent_graph(model_node: Any, tools_node: Any) -> Any:
    """A model and its tools, in a circle until the model calls no tool."""
    graph = StateGraph(MessagesState)
    graph.add_node("agent", model_node)
    graph.add_node("tools", tools_node)
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", after_agent, ["tools", END])
    graph.add_edge("tools", "agent")
    return graph.compile()


agent = agent_graph(weather_agent, weather_tools)
ask = agent_graph(email_agent, ask_human)
