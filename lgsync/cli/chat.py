"""``lgsync chat``: a conversation with a graph, on a thread."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Set

import click

from ..errors import ConfigurationError, LgsyncError
from .advice import words_of
from .answers import Instead, answers_to
from .codes import CTRL_C, DONE, PAUSED, of_outcome
from .history import messages_in, show_messages, write_messages
from .narrate import clean
from .new_thread import check_graph, new_id, stream_on_new_thread
from .options import Settings, example, settings_options
from .render import Screen
from .run_options import assistant_argument, given, input_of, run_options
from .screens import screen_for
from .show import RunView
from .signals import interrupted_once

if TYPE_CHECKING:
    from ..client import Client

__all__ = ["Chat", "at_the_terminal", "command"]

_HELP = """\
/thread [ID]   which thread this is; with an id, go on on that one
/new           begin a new thread
/history       the thread's messages
/retry         take back the last answer and run again from what you said
/answer        answer the question that the run is paused at
/save [FILE]   write the thread's messages: Markdown, or JSON into FILE.json
/help          this
/quit          leave (or Ctrl-D)

A line that ends with \\ goes on in the next. Ctrl-C stops an answer."""

_AT_A_QUESTION = "Ctrl-C leaves the question open, /help lists commands"


@click.command(
    "chat",
    epilog="\n".join(["\b", "At the prompt:", *(f"  {line}" for line in _HELP.splitlines())])
    + "\n\n"
    + example("lgsync chat agent", "lgsync chat agent --thread 1f1ec500-…", "echo hello | lgsync chat agent"),
)
@assistant_argument
@run_options
@settings_options
def command(settings: Settings, graph: str, thread: Optional[str], **for_graph: Any) -> int:
    """Talk to GRAPH on a thread.

    Answers are shown as they come, with reasoning, tool calls and results. A run that asks you something is answered at
    the prompt. Without a terminal each line of standard input is said, and the first failure ends the chat; with --json
    what happens is told as lgsync stream --json tells it.
    """
    screen = screen_for(beside=settings.json, color=settings.color)
    view = RunView("json" if settings.json else "messages", screen)
    with settings.client() as client:
        check_graph(client, graph)
        chat = Chat(client, graph, screen, view, given(for_graph))
        chat.open(thread)
        talk = at_the_terminal if sys.stdin.isatty() else _from_a_pipe
        return talk(chat, screen)


class Leave(Exception):
    """The user has had enough."""


class Chat:
    """A thread, and what is said on it. Each method shows what comes of it, and raises LgsyncError."""

    def __init__(
        self, client: Client, assistant: str, screen: Screen, view: RunView, for_graph: Mapping[str, Any]
    ) -> None:
        self._client = client
        self._assistant = assistant
        self._screen = screen
        self._view = view
        self._for_graph = for_graph
        self._thread_id = ""
        #: Whether the thread is still to be made: nothing was said on it.
        self._is_new = True
        self._pending: List[Any] = []
        self._saved: Set[Path] = set()
        self._commands: Dict[str, Callable[[str], None]] = {
            "/thread": self._thread,
            "/new": lambda _: self._go_to(None),
            "/history": lambda _: self._history(),
            "/retry": lambda _: self._retry(),
            "/answer": lambda _: self._ask(),
            "/save": self._save,
            "/help": lambda _: self._screen.line(_HELP),
            "/quit": lambda _: self._leave(),
            "/exit": lambda _: self._leave(),
        }
        #: How the last run ended; None if there was none, or if it was stopped.
        self.outcome: Optional[str] = None

    @property
    def code(self) -> int:
        """The exit code for how things stand: that of the last run, or of a question that stays open."""
        if self._pending:
            return PAUSED
        return DONE if self.outcome is None else of_outcome(self.outcome)

    def open(self, thread_id: Optional[str]) -> None:
        """Go on on that thread, or on a new one; what it waits for is asked by :meth:`begin`."""
        if thread_id is None:
            opened, self._pending = new_id(), []
        else:
            opened, self._pending = thread_id, list(self._client.threads.get_state(thread_id).interrupts)
        self._thread_id, self._is_new = opened, thread_id is None
        self._screen.line(f"{self._assistant} on thread {opened} · /help for commands, Ctrl-D leaves")

    def begin(self) -> None:
        """Ask what the thread waits for, if it does."""
        self._ask(unasked=True)

    def take(self, line: str) -> None:
        """Do what a line says: a command, or something to say."""
        text = line.strip()
        if not text:
            return
        if text.startswith("/"):
            name, _, argument = text.partition(" ")
            if name not in self._commands:
                raise ConfigurationError(f"There is no {name}; /help lists what there is")
            self._commands[name](argument.strip())
            return
        if self._pending:
            raise ConfigurationError("The run waits for an answer: /answer gives it, /new begins another thread")
        self._turn(input=input_of(text if text != "-" else " -"))

    # -- runs ---------------------------------------------------------------------------------------------------

    def _turn(self, **step: Any) -> None:
        self._run(**step)
        self._ask(unasked=True)

    def _ask(self, *, unasked: bool = False) -> None:
        """Answer what is asked, and what is asked then."""
        if not (self._pending or unasked):
            raise ConfigurationError("Nothing waits for an answer")
        while self._pending:
            asked = self._pending
            try:
                answer = self._answer_to(asked)
            except Instead as exc:
                self._take_at_a_question(exc.text)
                if self._pending is asked:
                    continue
                return
            if answer is None:
                self._screen.line("No answer: the run stays paused; /answer asks again.")
                return
            self._run(command={"resume": answer})

    def _answer_to(self, asked: List[Any]) -> Optional[Any]:
        try:
            return answers_to(self._screen, asked, hint=_AT_A_QUESTION, is_command=self._is_command)
        except KeyboardInterrupt:
            self._screen.broken_off()
            return None

    def _take_at_a_question(self, line: str) -> None:
        # It is asked again in any case; within each other, it would have to be left twice.
        if line.split()[0] != "/answer":
            self.take(line)

    def _is_command(self, line: str) -> bool:
        return line.split()[0] in self._commands

    def _run(self, **step: Any) -> None:
        self.outcome = None
        options = {**self._for_graph, **step, **self._view.options_on(self._client)}
        try:
            with interrupted_once(), self._begun(**options) as run:
                for _ in self._view.show(run, self._client):
                    pass
        except KeyboardInterrupt:
            self._view.stop()
            self._screen.broken_off()
            self._screen.line("(stopped)")
            return
        finally:
            self._view.stop()
        self.outcome = run.outcome
        self._pending = list(run.interrupts)
        if run.outcome == "cancelled":
            self._screen.line("(cancelled)")

    def _begun(self, **options: Any) -> Any:
        if not self._is_new:
            return self._client.runs.stream(self._thread_id, self._assistant, **options)
        run = stream_on_new_thread(self._client, self._thread_id, self._assistant, **options)
        self._is_new = False
        return run

    # -- commands -----------------------------------------------------------------------------------------------

    def _go_to(self, thread_id: Optional[str]) -> None:
        self.open(thread_id)
        self.begin()

    def _thread(self, thread_id: str) -> None:
        if thread_id:
            self._go_to(thread_id)
        else:
            self._screen.line(self._thread_id)

    def _history(self) -> None:
        messages = self._messages()
        show_messages(self._screen, messages)
        if not messages:
            self._screen.line("Nothing was said yet.")

    def _retry(self) -> None:
        for state in () if self._is_new else self._client.threads.iter_history(self._thread_id):
            if (state.metadata or {}).get("source") == "input" and state.checkpoint is not None:
                self._pending = []
                # The input is part of that checkpoint: run from there, it is taken as it was.
                self._turn(input=None, checkpoint_id=state.checkpoint.checkpoint_id)
                return
        raise ConfigurationError("Nothing was said yet that could be tried again")

    def _save(self, name: str) -> None:
        path = Path(name or f"lgsync-{self._thread_id[:13]}.md").expanduser()
        try:
            write_messages(path, self._messages(), self._thread_id, anew=path not in self._saved)
        except FileExistsError as exc:
            raise ConfigurationError(f"{path} is there already: name another file") from exc
        except OSError as exc:
            raise ConfigurationError(f"{path} cannot be written: {exc.strerror}") from exc
        self._saved.add(path)
        self._screen.line(f"saved in {path}")

    def _leave(self) -> None:
        raise Leave

    def _messages(self) -> Any:
        return messages_in({} if self._is_new else self._client.threads.get_state(self._thread_id).values)


def at_the_terminal(chat: Chat, screen: Screen) -> int:
    """What goes wrong is told, and the chat goes on."""
    begun = leaving = False
    while True:
        try:
            if not begun:
                begun = True
                chat.begin()
            line = _read(screen)
            leaving = False
            if line is None:
                return DONE
            chat.take(line)
        except Leave:
            return DONE
        except KeyboardInterrupt:
            screen.broken_off()
            if leaving:
                return CTRL_C
            leaving = True
            screen.line("(Ctrl-C again, Ctrl-D or /quit leaves)")
        except LgsyncError as exc:
            screen.line(f"lgsync: {' '.join(clean(words_of(exc)).split())}")


def _from_a_pipe(chat: Chat, screen: Screen) -> int:
    try:
        chat.begin()
        while True:
            line = _read(screen)
            if line is None:
                break
            chat.take(line)
            if chat.outcome == "cancelled":
                break
    except Leave:
        pass
    return chat.code


def _read(screen: Screen) -> Optional[str]:
    lines: List[str] = []
    while True:
        line = screen.prompt()
        if line is None:
            return "\n".join(lines) if lines else None
        if not line.endswith("\\"):
            return "\n".join([*lines, line])
        lines.append(line[:-1])
