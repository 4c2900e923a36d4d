"""A chat in Streamlit, whose ``write_stream`` takes an iterator of text as it is.

streamlit run examples/streamlit_chat.py        (LANGGRAPH_URL, CHAT_ASSISTANT)
"""

from __future__ import annotations

import os

import streamlit as st

from lgsync import Client


@st.cache_resource
def connected() -> Client:
    """One client for all sessions; with no URL it is LANGGRAPH_URL's."""
    return Client()


client = connected()
if "thread_id" not in st.session_state:
    st.session_state.thread_id = client.threads.create().thread_id
    st.session_state.said = []

st.title("Chat")
for role, text in st.session_state.said:
    st.chat_message(role).write(text)

question = st.chat_input("Message")
if question:
    st.chat_message("user").write(question)
    st.session_state.said.append(("user", question))
    message = {"messages": [{"role": "user", "content": question}]}
    assistant = os.environ.get("CHAT_ASSISTANT", "agent")
    # A new question, or a closed tab, ends this script, and with it the run.
    with client.runs.stream(st.session_state.thread_id, assistant, input=message) as run, st.chat_message("assistant"):
        answer = st.write_stream(run.text())
    st.session_state.said.append(("assistant", answer))
