"""What the demo writes, on a plain output and on a terminal."""

from __future__ import annotations

import io
import json
import re
from typing import Any, List

import pytest
from rich.console import Console

from lgsync.cli.narrate import Called, Calling, Ended, Note, Returned, Said
from lgsync.cli.render import LineBreaker, Screen, Stroke, TerminalScreen, json_line, part_text, question_text, snippet


class Output(io.StringIO):
    """Remembers what had been written at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: List[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def plain(*pieces: Any) -> str:
    out = Output()
    screen = Screen(out, io.StringIO())
    for piece in pieces:
        screen.show(piece)
    screen.end()
    return out.getvalue()


def terminal(width: int = 80, **options: Any) -> Any:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, highlight=False, **options)
    return TerminalScreen(console, io.StringIO()), console.file


def on_terminal(*pieces: Any, width: int = 80) -> str:
    screen, out = terminal(width)
    for piece in pieces:
        screen.show(piece)
    screen.end()
    return out.getvalue()


def seen(written: str) -> str:
    """``written`` without styles and cursor moves."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)


def test_every_token_is_flushed_as_it_comes():
    out = Output()
    screen = Screen(out, io.StringIO())
    for token in ("It ", "is ", "sunny"):
        screen.show(Said("text", token))
    assert [text for text in out.flushed if text][-3:] == ["It ", "It is ", "It is sunny"]


def test_plain_text_tells_reasoning_from_the_answer_by_a_word():
    assert (
        plain(Said("reasoning", "hm"), Said("reasoning", "m"), Said("text", "yes"), Ended()) == "reasoning: hmm\nyes\n"
    )


def test_two_messages_of_one_kind_have_lines_of_their_own():
    assert plain(Said("text", "one"), Ended(), Said("text", "two"), Ended()) == "one\ntwo\n"


def test_a_plain_tool_call_grows_on_its_line_and_is_written_once():
    whole = 'f(a="xyz", b=2)'
    pieces = [Calling(("f(",)), Calling(('f(a="x',)), Calling(('f(a="xyz", b=2',)), Calling((whole,))]
    assert plain(*pieces, Called("f", {"a": "xyz", "b": 2}), Ended()) == f"call: {whole}\n"


def test_several_plain_tool_calls_have_a_line_each():
    pieces = [Calling(("f(",)), Calling(("f(a=1)", "g(")), Calling(("f(a=1)", "g(b=2)"))]
    assert plain(*pieces, Called("f", {"a": 1}), Called("g", {"b": 2}), Ended()) == "call: f(a=1)\ncall: g(b=2)\n"


def test_a_plain_tool_call_that_changed_what_was_written_is_written_again_when_whole():
    written = plain(Calling(('f(a="x',)), Calling(("f(b=1",)), Called("f", {"b": 1}), Ended())
    assert written == 'call: f(a="x\ncall: f(b=1)\n'


def test_a_broken_tool_call_is_written_with_its_problem():
    assert plain(Called("f", '{"a', "not valid JSON")) == 'call: f({"a)  (not valid JSON)\n'


def test_a_tool_result_names_its_tool_and_whether_it_failed():
    assert plain(Said("text", "hm"), Returned("f", "54 F")) == "hm\nf returned: 54 F\n"
    assert plain(Returned("f", "no", failed=True)) == "f failed: no\n"


def test_a_long_tool_result_is_shortened_and_says_by_how_much():
    assert plain(Returned("f", "x" * 3_200)).endswith("xxx\n… (2,000 more characters)\n")


def test_a_note_is_set_in_brackets_on_a_line_of_its_own():
    assert plain(Said("text", "Hel"), Note("cut short"), Ended()) == "Hel\n(cut short)\n"


def test_plain_output_has_no_control_codes():
    out = Output()
    screen = Screen(out, io.StringIO("yes\n"))
    screen.title("lgsync demo: all of it")
    with screen.waiting("Starting …"):
        screen.user("hi")
    for piece in (Said("reasoning", "a"), Calling(("f(",)), Called("f", {}), Returned("f", "1"), Note("n"), Ended()):
        screen.show(piece)
    screen.ask("sure?")
    screen.code(["x = 1"])
    screen.summary("1 token", "success")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", out.getvalue())


def test_the_answer_is_the_first_line_that_is_not_blank():
    out = Output()
    assert Screen(out, io.StringIO("\n   \n yes, do \nno\n")).ask("sure?") == "yes, do"
    assert out.getvalue().count("your answer: ") == 3


def test_the_end_of_input_is_no_answer():
    out = Output()
    assert Screen(out, io.StringIO("")).ask("sure?") is None
    assert out.getvalue().endswith("your answer: \n")


def test_an_answer_that_nobody_typed_is_written_too():
    out = Output()
    Screen(out, io.StringIO("yes\n")).ask("sure?")
    assert out.getvalue().endswith("asks:\nsure?\nyour answer: yes\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Send it?", "Send it?"),
        ({"question": "Send it?"}, "Send it?"),
        ({"question": "Send it?", "to": "x"}, 'Send it?\n{\n  "to": "x"\n}'),
        ({"q": "ok?"}, "ok?"),
        ({"action_requests": []}, '{\n  "action_requests": []\n}'),
        ([1], "[\n  1\n]"),
        (None, "null"),
    ],
)
def test_a_question_is_shown_as_text_and_the_rest_of_its_value_as_json(value: Any, shown: str):
    assert question_text(value) == shown


def test_a_raw_part_is_its_event_its_json_and_blank_lines():
    text = part_text("messages/partial", [{"content": "57 °F", "name": None}])
    assert text == 'Receiving new event of type: messages/partial...\n[{"content": "57 °F", "name": null}]\n\n\n'


def test_the_terminal_dims_reasoning_and_not_the_answer():
    written = on_terminal(Said("reasoning", "hm"), Said("text", "yes"))
    assert "\x1b[2;3mhm\x1b[0m" in written
    assert written.endswith("\nyes\n")


def test_the_terminal_frames_a_whole_call_and_its_result():
    lines = seen(on_terminal(Called("f", {"a": 1}), Returned("f", "54 F"))).split("\n")
    assert lines[0].startswith("╭─ tool call ")
    assert lines[1].startswith("│ f(a=1) ")
    assert lines[3].startswith("╭─ f returned ")
    assert lines[4].startswith("│ 54 F ")


def test_the_terminal_shows_a_growing_call_on_one_line_and_then_takes_it_away():
    written = on_terminal(Calling(("f(",)), Calling(('f(a="x',)), Called("f", {"a": "x"}), Ended())
    growing, framed = written.split("╭", 1)
    assert '→ f(a="x' in seen(growing)
    assert growing.endswith("\x1b[2K\x1b[?25h") or "\x1b[2K" in growing.rsplit("→", 1)[1]
    assert "→" not in framed


def test_a_growing_call_wider_than_the_terminal_shows_its_end():
    written = seen(on_terminal(Calling(("f(" + "x" * 100 + "END",)), width=40))
    assert re.search(r"→ …x{30,}END", written)


def test_markup_in_a_message_is_shown_as_it_is():
    assert "[bold]x[/bold]" in seen(on_terminal(Said("text", "[bold]x[/bold]"), Returned("f", "[red]y")))
    assert "[red]y" in seen(on_terminal(Returned("[red]", "[red]y")))


def test_after_a_typed_answer_lines_break_where_they_should():
    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = io.StringIO()
    screen = TerminalScreen(Console(file=out, force_terminal=True, width=30, highlight=False), Keyboard("\nyes\n"))
    assert screen.ask("sure?") == "yes"
    screen.show(Said("text", "It fits on one line: 123456"))
    assert seen(out.getvalue()).endswith("your answer: It fits on one line: 123456")


def test_without_colour_there_is_none():
    screen, out = terminal(no_color=True)
    screen.show(Called("f", {}))
    screen.summary("1 token", "success")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", out.getvalue())


@pytest.mark.parametrize(("no_color", "styled"), [(True, False), (False, True)])
def test_without_colour_the_prompt_has_none_either(monkeypatch, no_color, styled):
    prompts: List[str] = []
    monkeypatch.setattr("builtins.input", lambda prompt: prompts.append(prompt) or "hi")
    assert terminal(no_color=no_color, color_system="standard")[0].prompt() == "hi"
    assert ("32m" in prompts[0]) is styled


def test_json_is_json_on_an_output_of_few_characters_too(monkeypatch):
    data = {"ü": "\u2028 \U0001f600 \ud800"}
    for encoding in ("ascii", "cp1252", "utf-8"):
        out = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
        monkeypatch.setattr("sys.stdout", out)
        out.write(json_line(data))
        out.flush()
        assert json.loads(out.buffer.getvalue().decode(encoding)) == data


def test_the_python_on_a_terminal_is_never_folded():
    screen, out = terminal(width=30)
    line = f"question = {'x' * 60}"
    screen.code([line])
    assert seen(out.getvalue()) == f"  {line}\n"


def strokes(*texts: str, width: int = 10) -> List[Stroke]:
    breaker = LineBreaker()
    return [stroke for text in texts for stroke in breaker.feed(text, width) if stroke.text]


def test_a_word_that_does_not_fit_begins_the_next_line():
    assert strokes("hello there") == [Stroke(0, "hello"), Stroke(0, " "), Stroke(0, "\nthere")]


def test_a_word_that_outgrows_its_line_moves_to_the_next():
    assert strokes("hello th", "ere") == [Stroke(0, "hello"), Stroke(0, " "), Stroke(0, "th"), Stroke(2, "\nthere")]


def test_a_space_at_the_end_of_a_line_is_left_out():
    assert strokes("0123456789", " ", "x") == [Stroke(0, "0123456789"), Stroke(0, "\nx")]


def test_a_word_longer_than_a_line_is_left_to_the_terminal():
    assert strokes("https://", "example.com") == [Stroke(0, "https://"), Stroke(0, "example.com")]


def test_a_wide_character_takes_two_cells():
    assert strokes("ab ", "日本語日") == [Stroke(0, "ab"), Stroke(0, " "), Stroke(0, "\n日本語日")]


def test_line_breaks_of_the_text_stay():
    assert strokes("a\n\nbcdefghij") == [Stroke(0, "a"), Stroke(0, "\n"), Stroke(0, "\n"), Stroke(0, "bcdefghij")]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_the_python_to_copy_is_python_and_names_the_transport_where_it_matters(raw, resume, transport):
    lines = snippet("http://h:1", transport, "agent", 'say "hi"', raw=raw, resume=resume)
    compile("\n".join(lines), "snippet", "exec")
    assert ('transport="websocket"' in lines[1]) is (transport == "websocket")
    assert json.dumps('say "hi"') in lines[3]
    assert len(lines) <= 8


@pytest.mark.parametrize("tell", ["line", "title", "user", "_note", "ask"])
def test_nothing_that_a_terminal_is_told_can_steer_it(tell):
    screen, out = terminal(color_system=None)
    getattr(screen, tell)("a: \x1b[2Jb\x9b31m\x07")
    assert "[2Jb31m" in out.getvalue()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out.getvalue())
