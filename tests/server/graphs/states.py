"""Graphs whose state is not simply what was streamed."""

from __future__ import annotations

from typing import Any, Dict

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from scripted_model import ScriptedModel, paced, speaks, words


def _chain(**nodes: Any) -> Any:
    builder = StateGraph(MessagesState)
    previous = START
    for name, node in nodes.items():
        builder.add_node(name, node)
        builder.add_edge(previous, name)
        previous = name
    return builder.compile()


async def _edits(state: MessagesState) -> Dict[str, Any]:
    dict_message = {"role": "assistant", "content": "dict message"}
    return {"messages": [AIMessage("static ai (edited)", id="static-1"), dict_message]}


async def _makes(state: MessagesState) -> Dict[str, Any]:
    made = [AIMessage("static ai", id="static-1"), HumanMessage("injected human"), SystemMessage("injected system")]
    return {"messages": made}


async def _forgets_first(state: MessagesState) -> Dict[str, Any]:
    return {"messages": [RemoveMessage(id=str(state["messages"][0].id))]}


async def _forgets_all(state: MessagesState) -> Dict[str, Any]:
    kept = [AIMessage("summary", id="summary-1"), HumanMessage("go on", id="go-on-1")]
    return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), *kept]}


def _rewrites() -> Any:
    speak = speaks(words("secret", 3))

    async def node(state: MessagesState, config: RunnableConfig) -> Dict[str, Any]:
        (message,) = (await speak(state, config))["messages"]
        return {"messages": [AIMessage("redacted", id=message.id)]}

    return node


def _asks_aside() -> Any:
    speak = speaks(words("main", 3))

    async def node(state: MessagesState, config: RunnableConfig) -> Any:
        helper = ScriptedModel(script=words("helper", 2), wait=paced(config), tags=["helper"])
        await helper.ainvoke(state["messages"], config)
        return await speak(state, config)

    return node


class WholeModel(BaseChatModel):
    """A model that cannot stream."""

    @property
    def _llm_type(self) -> str:
        return "whole"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        message = AIMessage(
            "all at once",
            additional_kwargs={"refusal": None, "reasoning_content": "none needed"},
            response_metadata={"finish_reason": "stop", "model_name": "whole-1"},
            usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


async def _says_whole(state: MessagesState, config: RunnableConfig) -> Dict[str, Any]:
    return {"messages": [await WholeModel().ainvoke(state["messages"], config)]}


#: Messages a node makes itself, of four kinds; a later node edits one of them by its id.
static = _chain(n1=_makes, n2=_edits)

#: A model, then the first message of the thread is removed.
remove = _chain(llm=speaks(words("tok", 2)), prune=_forgets_first)

#: A model, then everything is removed and two new messages stand in its place.
wipe = _chain(llm=speaks(words("tok", 2)), forget=_forgets_all)

#: The node stores another text under the id of the message that was streamed.
rewrite = _chain(llm=_rewrites())

#: A helper model streams, and its message never comes into the state.
sidecall = _chain(llm=_asks_aside())

#: A model whose tokens are hidden; its message still comes into the state.
nostream = _chain(llm=speaks(words("quiet", 3), tags=["nostream"]))

#: A model that cannot stream, with usage and extra fields.
wholemodel = _chain(llm=_says_whole)
