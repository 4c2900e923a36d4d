"""Stream messages from your graph: the loop of LangGraph's guide, without async.

    python examples/stream_messages.py [URL] [--transport sse|websocket] [--assistant NAME]

The graph "agent" of the server at URL (default: http://localhost:2024) is asked about the weather. The same program
runs over both transports.
"""

from __future__ import annotations

import argparse

from lgsync import Client


def main() -> None:
    parser = argparse.ArgumentParser(description="Stream messages from a graph, part by part.")
    parser.add_argument("url", nargs="?", default="http://localhost:2024")
    parser.add_argument("--transport", choices=("sse", "websocket"), default="sse")
    parser.add_argument("--assistant", default="agent")
    args = parser.parse_args()

    client = Client(args.url, transport=args.transport)
    # create thread
    thread = client.threads.create()
    print(thread)

    input = {"messages": [{"role": "user", "content": "what's the weather in sf"}]}  # noqa: A001
    config = {"configurable": {"model_name": "openai"}}

    with client.runs.stream(
        thread["thread_id"],
        assistant_id=args.assistant,
        input=input,
        config=config,
        stream_mode="messages",
    ) as run:
        for chunk in run:
            print(f"Receiving new event of type: {chunk.event}...")
            print(chunk.data)
            print("\n\n")


if __name__ == "__main__":
    main()
