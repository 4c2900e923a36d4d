"""Chat models that say what a script tells them to, at the pace a run asks for.

A run sets the pace in ``config.configurable``: ``delay`` (seconds before each chunk) and ``gate`` (the path of a file
that holds how many chunks each model may send so far; models wait until it lets them go on).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, List, Optional, Sequence, Union

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig

Script = Sequence[Union[AIMessageChunk, Exception]]
Wait = Callable[[int], Awaitable[None]]

GATE_LIMIT = 60.0


def said(content: Any, **fields: Any) -> AIMessageChunk:
    return AIMessageChunk(content=content, **fields)


def ending(reason: str, output_tokens: int) -> AIMessageChunk:
    """The chunk by which providers tell why a message ended and what it cost."""
    usage = {"input_tokens": 1, "output_tokens": output_tokens, "total_tokens": output_tokens + 1}
    return said("", response_metadata={"finish_reason": reason, "model_name": "scripted-1"}, usage_metadata=usage)


def words(stem: str, count: int) -> List[AIMessageChunk]:
    """``count`` chunks of text, ``"tok0 "``, ``"tok1 "`` and so on, then the ending."""
    return [*(said(f"{stem}{number} ") for number in range(count)), ending("stop", count)]


def texts(*parts: str) -> List[AIMessageChunk]:
    return [*(said(part) for part in parts), ending("stop", len(parts))]


def calling(name: str, call_id: str, index: int, *args: str) -> List[AIMessageChunk]:
    """The chunks of one tool call whose JSON arguments arrive in the pieces given."""
    pieces = [{"name": name, "id": call_id, "args": ""}, *({"name": None, "id": None, "args": arg} for arg in args)]
    return [said("", tool_call_chunks=[{**piece, "index": index, "type": "tool_call_chunk"}]) for piece in pieces]


class ScriptedModel(BaseChatModel):
    """Streams its script; an exception in it is raised where it stands."""

    script: List[Any]
    wait: Optional[Any] = None

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("The scripted model is only ever streamed.")

    async def _agenerate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        whole = AIMessageChunk(content="")
        async for chunk in self._astream(messages):
            whole = whole + chunk.message
        return ChatResult(generations=[ChatGeneration(message=AIMessage(**whole.model_dump(exclude={"type"})))])

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for number, item in enumerate(self.script):
            if self.wait is not None:
                await self.wait(number)
            if isinstance(item, Exception):
                raise item
            yield ChatGenerationChunk(message=item.model_copy(deep=True))


def paced(config: RunnableConfig, delay: float = 0.0) -> Wait:
    """What to await before a model's n-th chunk, as the run's ``delay`` and ``gate`` demand."""
    settings: Dict[str, Any] = config.get("configurable", {})
    seconds = float(settings.get("delay", delay))
    gate = settings.get("gate")

    async def wait(number: int) -> None:
        await asyncio.sleep(seconds)
        if gate is not None:
            await asyncio.wait_for(_allowed(Path(gate), number + 1), GATE_LIMIT)

    return wait


async def _allowed(gate: Path, count: int) -> None:
    while await asyncio.to_thread(_allowance, gate) < count:
        await asyncio.sleep(0.01)


def _allowance(gate: Path) -> int:
    return int(gate.read_text()) if gate.exists() else 0


class TakingTurns:
    """Lets the models of one run speak strictly in turn, chunk by chunk: A0 B0 A1 B1."""

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._next: Dict[str, int] = {}

    def wait_as(self, party: int, config: RunnableConfig, pace: Wait) -> Wait:
        run = str(config["metadata"]["run_id"])

        async def wait(number: int) -> None:
            await pace(number)
            turn = number * self._parties + party
            await asyncio.wait_for(self._reached(run, turn), GATE_LIMIT)
            # Nothing is awaited between here and the sending of this model's chunk, so no other can overtake it.
            self._next[run] = turn + 1

        return wait

    async def _reached(self, run: str, turn: int) -> None:
        while self._next.get(run, 0) < turn:
            await asyncio.sleep(0.001)


def speaks(script: Script, *, tags: Optional[List[str]] = None) -> Callable[..., Any]:
    """A node that lets a model say ``script`` and adds the message to the state."""

    async def node(state: Any, config: RunnableConfig) -> Dict[str, Any]:
        model = ScriptedModel(script=list(script), wait=paced(config), tags=tags)
        return {"messages": [await model.ainvoke(state["messages"], config)]}

    return node
