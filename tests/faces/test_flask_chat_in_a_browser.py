"""The example app, two gunicorn workers of each kind, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from chat_app import NASTY, Chat, gunicorn
from langgraph_server import Gate, server_python
from rawserver import until

from lgsync.testing import FaultProxy, Status

WHOLE = "s0 s1 s2 s3 s4 s5 s6 s7 s8 s9 "
DESK = {"width": 1100, "height": 800}
PHONE = {"width": 390, "height": 780}

#: Within which closing a tab is to have cancelled the run.
NOTICED = 6.0


def say(page: Any, text: str, assistant: str) -> None:
    page.select_option("#assistant", assistant)
    page.fill("#text", text)
    page.click("#send")


def answer_is(page: Any, text: str) -> None:
    """Wait until there is one answer, and it says this."""
    page.wait_for_function(
        """text => {
            const all = [...document.querySelectorAll(".message.ai .text")];
            return all.length === 1 && all[0].textContent === text;
        }""",
        arg=text,
    )


def idle(page: Any) -> None:
    page.wait_for_selector("#send", state="visible")


def only_run(chat: Chat, page: Any) -> Any:
    """The thread's run, as the page follows it, and its thread."""
    run_id = page.evaluate("document.body.dataset.run")
    threads = chat.client.threads.search(limit=100, sort_by="created_at", sort_order="desc")
    for thread in threads:
        for run in chat.client.runs.list(thread.thread_id):
            if run.run_id == run_id:
                return run
    raise AssertionError(f"no thread has the run {run_id}")


def status(chat: Chat, run: Any) -> str:
    return str(chat.client.runs.get(run.thread_id, run.run_id).status)


def test_tokens_appear_before_the_end(chat: Chat, tab: Callable[..., Any], gate: Gate, artefacts: Path) -> None:
    page = tab(chat.url, viewport=DESK)
    gate.allow(3)
    say(page, "hello", chat.gated)
    answer_is(page, "s0 s1 s2 ")
    assert page.is_visible("#stop")
    assert status(chat, only_run(chat, page)) == "running"
    page.screenshot(path=artefacts / "streaming.png")
    gate.open()
    answer_is(page, WHOLE)
    idle(page)


def test_a_reload_in_mid_answer_resumes_with_nothing_doubled(chat: Chat, tab: Callable[..., Any], gate: Gate) -> None:
    page = tab(chat.url)
    gate.allow(4)
    say(page, "hello", chat.gated)
    answer_is(page, "s0 s1 s2 s3 ")
    run = only_run(chat, page)
    (before,) = chat.readers_of(run)
    page.reload()
    answer_is(page, "s0 s1 s2 s3 ")
    assert page.locator(".message.human").count() == 1
    # The first page was given up, and somebody had come back.
    until(lambda: before not in chat.readers_of(run), within=15, pause=0.05)
    assert len(chat.readers_of(run)) == 1
    assert status(chat, run) == "running"
    gate.open()
    answer_is(page, WHOLE)
    idle(page)
    assert status(chat, run) == "success"
    page.reload()
    answer_is(page, WHOLE)


def test_a_cut_connection_is_taken_up_again_by_the_browser_itself(
    chat: Chat, tab: Callable[..., Any], gate: Gate, fault_proxy: Callable[[str], FaultProxy]
) -> None:
    between = fault_proxy(chat.url)
    page = tab(between.url)
    gate.allow(4)
    say(page, "hello", chat.gated)
    answer_is(page, "s0 s1 s2 s3 ")
    between.cut_all("rst")
    gate.open()
    answer_is(page, WHOLE)
    idle(page)
    events = [one for one in between.requests if one.target.endswith("/events")]
    assert len(events) >= 2


def test_stop_cancels_the_run_on_the_server(chat: Chat, tab: Callable[..., Any], gate: Gate) -> None:
    page = tab(chat.url)
    gate.allow(2)
    say(page, "hello", chat.gated)
    answer_is(page, "s0 s1 ")
    run = only_run(chat, page)
    page.click("#stop")
    idle(page)
    assert page.inner_text("#status") == "Stopped."
    assert status(chat, run) == "interrupted"


def test_closing_the_tab_in_a_quiet_phase_cancels_the_run_within_six_seconds(
    chat: Chat, tab: Callable[..., Any]
) -> None:
    page = tab(chat.url)
    say(page, "hello", chat.silent)
    page.wait_for_selector("#stop", state="visible")
    run = only_run(chat, page)
    until(lambda: status(chat, run) == "running", pause=0.05)
    page.close()
    until(lambda: status(chat, run) != "running", within=NOTICED, pause=0.05)
    assert status(chat, run) == "interrupted"


def test_a_message_that_cannot_be_sent_is_kept_and_told_in_words(
    chat: Chat, tab: Callable[..., Any], gate: Gate, artefacts: Path
) -> None:
    page = tab(chat.url, viewport=DESK)
    chat.proxy.script(Status(503), match="POST /threads", repeat=True)
    try:
        say(page, "hello", chat.gated)
        page.wait_for_selector("#status:not(:empty)")
    finally:
        chat.proxy.clear()
    page.screenshot(path=artefacts / "failed-post.png")
    assert page.inner_text("#status") == "The agent cannot be reached just now. Please try again."
    assert page.input_value("#text") == "hello"
    gate.open()
    page.click("#send")
    answer_is(page, WHOLE)
    idle(page)
    assert page.inner_text("#status") == ""


def test_a_message_that_never_left_the_browser_is_told_in_words(chat: Chat, tab: Callable[..., Any]) -> None:
    page = tab(chat.url)
    page.context.set_offline(True)
    say(page, "hello", chat.gated)
    page.wait_for_selector("#status:not(:empty)")
    assert page.inner_text("#status") == "The chat cannot be reached just now. Please try again."


def test_a_new_chat_that_cannot_be_begun_says_so(chat: Chat, tab: Callable[..., Any], gate: Gate) -> None:
    page = tab(chat.url)
    gate.allow(2)
    say(page, "hello", chat.gated)
    answer_is(page, "s0 s1 ")
    chat.proxy.script(Status(503), match="/cancel", repeat=True)
    try:
        page.click("#new")
        page.wait_for_selector("#status:not(:empty)")
    finally:
        chat.proxy.clear()
    assert page.inner_text("#status") == "The agent cannot be reached just now. Please try again."
    page.click("#new")
    page.wait_for_selector("#welcome", state="visible")


def test_markup_in_a_message_is_shown_as_text(chat: Chat, tab: Callable[..., Any], artefacts: Path) -> None:
    page = tab(chat.url, viewport=PHONE)
    say(page, NASTY, chat.nasty)
    answer_is(page, NASTY * 2)
    idle(page)
    for _ in range(2):
        assert page.title() == "Chat"
        assert page.text_content(".message.human .text") == NASTY.strip()
        assert page.locator("main img, main script").count() == 0
        page.reload()
        answer_is(page, NASTY * 2)
    page.screenshot(path=artefacts / "markup.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_interrupt_is_answered_in_a_form(chat: Chat, tab: Callable[..., Any]) -> None:
    page = tab(chat.url)
    say(page, "hello", "hitl")
    page.wait_for_selector(".question")
    assert page.inner_text(".question-text") == "ok?"
    page.reload()
    page.fill(".question input", "<b>fine</b>")
    page.click(".question button[type=submit]")
    page.wait_for_function("() => document.querySelectorAll('.message.ai').length === 2")
    idle(page)
    assert page.locator(".question").count() == 0
    assert page.locator(".message.ai .text").last.text_content() == "final0 final1 final2 "
    page.reload()
    assert page.locator(".message.human .text").last.text_content() == "human said <b>fine</b>"


def test_the_embedded_server_serves_a_whole_conversation(
    tab: Callable[..., Any], artefacts: Path, tmp_path: Path
) -> None:
    url, running = gunicorn(
        "gthread",
        tmp_path / "log",
        LANGGRAPH_URL=None,
        CHAT_ASSISTANTS=None,
        CHAT_SECRET_KEY="for tests alone",
        LGSYNC_SERVER_PYTHON=server_python(),
    )
    with running:
        page = tab(url, viewport=DESK)
        page.screenshot(path=artefacts / "welcome.png")
        say(page, "What is the weather in Oslo?", "agent")
        page.wait_for_selector(".call")
        page.wait_for_selector(".message.tool")
        page.screenshot(path=artefacts / "tool-call.png")
        idle(page)
        assert page.inner_text(".call-name") == "get_weather"
        assert '"Oslo"' in page.inner_text(".call-args")
        assert "57" in page.inner_text(".message.tool .text")
        assert "It is 57 °F and partly cloudy in Oslo" in page.locator(".message.ai .text").last.inner_text()
        page.screenshot(path=artefacts / "answer.png")
        say(page, "Tell the team that version 1.0 is out.", "ask")
        page.wait_for_selector(".question")
        page.screenshot(path=artefacts / "question.png")
        page.set_viewport_size(PHONE)
        page.emulate_media(color_scheme="dark")
        page.locator(".question").scroll_into_view_if_needed()
        page.screenshot(path=artefacts / "question-phone-dark.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.click("[data-answer=yes]")
        page.wait_for_function("() => document.body.innerText.includes('So the e-mail is on its way.')")
        idle(page)
        page.screenshot(path=artefacts / "answered-phone-dark.png")
        page.click("#new")
        page.wait_for_selector("#welcome", state="visible")
        assert page.locator("main .message").count() == 0
