"""What an answer of the API comes to: data, or one error that says in words what the body says."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional

import pytest

from lgsync.answers import data_of, error_of, refuse_unless_ok
from lgsync.errors import APIStatusError, InternalServerError, ResponseError, UnprocessableEntityError
from lgsync.transport import Response

URL = "http://server/threads/1"
PROXY = "it seems that a proxy in between has answered, not the LangGraph server"


def answered(status: int, body: Any = b"", content_type: str = "application/json", **headers: str) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields: Dict[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"content-type": content_type, **fields}, content, URL)


def refusal(status: int, body: Any = b"", content_type: str = "application/json", **headers: str) -> APIStatusError:
    return error_of(answered(status, body, content_type, **headers), "GET")


# Data


def test_data_is_the_decoded_body() -> None:
    assert data_of(answered(200, {"a": [1, None]}), "GET") == {"a": [1, None]}


def test_no_content_is_none() -> None:
    assert data_of(answered(204, b"whatever"), "DELETE") is None


@pytest.mark.parametrize(
    ("body", "content_type", "shown"),
    [
        (b"", "application/json", "with an empty body, where JSON was due"),
        (b" \r\n", "", "with an empty body, where JSON was due"),
        (b"hello", "text/plain", "with text/plain: 'hello', where JSON was due"),
        (b"hello", "", "with a body of no type: 'hello', where JSON was due"),
        (b'{"score": NaN}', "application/json", "with application/json: '{\"score\": NaN}', where JSON was due"),
        (b"\xff\xfe", "application/octet-stream", "with application/octet-stream: '\ufffd\ufffd', where JSON was due"),
        (b"caf\xe9", "text/plain; charset=latin-1", "with text/plain; charset=latin-1: 'caf\xe9', where"),
        (b"caf\xe9", "text/plain; charset=nonsense", "with text/plain; charset=nonsense: 'caf\ufffd', where"),
        (b"<html><title>Sign in</title>x", "text/html", "with text/html, a web page that says 'Sign in', where JSON"),
        (b"<?xml version='1.0'?><E>No</E>", "", "with a body of no type, a web page that says 'No', where JSON"),
        (b"<img>", "text/html", "with text/html, a web page without a word, where JSON"),
    ],
)
def test_an_answer_that_is_no_json_is_shown_in_words(body: bytes, content_type: str, shown: str) -> None:
    with pytest.raises(ResponseError) as caught:
        data_of(answered(200, body, content_type), "GET")
    error = caught.value
    assert str(error).startswith(f"GET {URL} answered 200 {shown}")
    assert str(error).endswith("Does the URL point at a LangGraph server, and does a proxy stand in between?")
    assert (error.url, error.status, error.content_type) == (URL, 200, content_type)
    assert isinstance(error.__cause__, ValueError)


def test_a_huge_answer_is_shown_in_part() -> None:
    with pytest.raises(ResponseError) as caught:
        data_of(answered(200, b"x" * 5_000_000, "text/plain"), "GET")
    assert len(str(caught.value)) < 500
    assert caught.value.snippet == "x" * 200


# Which answers are refusals


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_status_of_success_is_no_refusal(status: int) -> None:
    refuse_unless_ok(answered(status), "GET")


@pytest.mark.parametrize("status", [100, 199, 300, 304, 400, 418, 500, 599, 600])
def test_any_other_status_is_a_refusal(status: int) -> None:
    with pytest.raises(APIStatusError, match=f"failed with status {status}") as caught:
        refuse_unless_ok(answered(status), "GET")
    assert caught.value.status_code == status


# What the body says

LOCATED = [{"loc": ["body", "input", "messages", 0, "content"], "msg": "Field required", "type": "missing"}]
ZOD = [{"code": "invalid_type", "path": ["config", "tags", 1], "message": "Expected string, received number"}]
ZOD_SAYS = "config.tags[1]: Expected string, received number"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        # The server's own words
        ({"message": "no", "detail": "other"}, "no"),
        ({"detail": "no", "error": "other"}, "no"),
        ({"error": "no"}, "no"),
        ({"title": "no", "status": 400}, "no"),
        ({"error": {"message": "no", "code": "x"}}, "no"),
        ({"error": {"detail": "no"}}, "no"),
        ({"detail": {"error": {"message": "no"}}}, "no"),
        ({"message": "", "detail": None, "error": "no"}, "no"),
        ("no", "no"),
        (b"  no \r\n", "no"),
        # Lists of mistakes
        ({"detail": LOCATED}, "body.input.messages[0].content: Field required"),
        ({"detail": [*LOCATED, {"loc": [], "msg": "odd"}]}, "body.input.messages[0].content: Field required; odd"),
        ({"detail": [{"msg": str(n)} for n in range(7)]}, "0; 1; 2; 3; 4; and 2 more"),
        ({"success": False, "error": {"name": "ZodError", "issues": ZOD}}, ZOD_SAYS),
        ({"success": False, "error": {"name": "ZodError", "message": json.dumps(ZOD, indent=2)}}, ZOD_SAYS),
        ({"errors": ["first", "second"]}, "first; second"),
        (LOCATED, "body.input.messages[0].content: Field required"),
        ({"detail": [{"loc": "path", "message": "wrong"}]}, "path: wrong"),
        # Nothing that is known: as it is
        ({"odd": 1}, "{'odd': 1}"),
        ({"detail": {"odd": 1}}, "{'odd': 1}"),
        ({"detail": [{"odd": 1}]}, "{'odd': 1}"),
        ("[not a list]", "[not a list]"),
        ("[1]", "[1]"),
        (7, "7"),
        # Nothing at all
        (b"", ""),
        ({}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_the_servers_words_are_found_in_the_body(body: Any, detail: str) -> None:
    error = refusal(400, body)
    assert error.detail == detail
    assert str(error) == f"GET {URL} failed with status 400" + (f": {detail}" if detail else "")


def test_the_body_is_kept_decoded() -> None:
    assert refusal(422, {"detail": LOCATED}).body == {"detail": LOCATED}
    assert refusal(422, b"no").body == "no"


@pytest.mark.parametrize("wrapped", [lambda inner: {"detail": inner}, lambda inner: [inner]])
def test_a_body_that_wraps_its_words_without_end_is_read_all_the_same(wrapped: Any) -> None:
    body: Any = "no"
    for _ in range(500):
        body = wrapped(body)
    assert len(str(refusal(400, body))) < 1000


@pytest.mark.parametrize(
    ("page", "detail"),
    [
        ("<html><head><title>502 Bad\n Gateway</title></head><body>nginx</body></html>", "502 Bad Gateway"),
        ("\ufeff\n<!DOCTYPE html><TITLE lang=en>R&amp;D &lt;3</TITLE>", "R&D <3"),
        ("<html><style>p {}</style><body class=x><h1>No</h1><p>way</p></body>", "No way"),
        ("<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>No</Message></Error>", "AccessDenied No"),
        ("<html></html>", ""),
        ("<title>never closed", "never closed"),
        ("<title", "<title"),
    ],
)
def test_a_web_page_is_told_in_words_and_a_proxy_blamed(page: str, detail: str) -> None:
    error = refusal(502, page.encode(), "text/html")
    assert (type(error), error.detail, error.body) == (InternalServerError, detail, page)
    said = f": {detail}" if detail else ""
    assert str(error).startswith(f"GET {URL} failed with status 502{said}. That came as a web page: {PROXY}.")
    assert "</" not in str(error)


@pytest.mark.parametrize("status", [400, 404, 405, 500, 501])
def test_a_web_page_of_another_web_server_asks_for_the_url_first(status: int) -> None:
    error = refusal(status, b"<title>No</title>", "text/html")
    assert str(error) == (
        f"GET {URL} failed with status {status}: No. That came as a web page, which no LangGraph server sends: "
        "check its host and port, and that the URL holds the API's path prefix if it has one. Or a proxy has answered."
    )


def test_a_web_page_in_another_character_set_is_read_in_that() -> None:
    page = "<title>Zugriff verweigert: für Sie</title>".encode("latin-1")
    assert refusal(403, page, 'text/html; charset="ISO-8859-1"').detail == "Zugriff verweigert: für Sie"
    assert refusal(403, page, "text/html").detail == "Zugriff verweigert: f\ufffdr Sie"


@pytest.mark.parametrize("piece", ["<", "<title", "<title>", "<body>", "<script>", "&#", "<p>x</p>", '["'])
def test_a_hostile_page_costs_no_more_than_its_length(piece: str) -> None:
    # Were each beginning looked at up to the end of the page, this would take minutes.
    error = refusal(502, (piece * 2_000_000).encode(), "text/html")
    assert len(str(error)) < 1500


def test_long_words_are_cut_in_the_message_alone() -> None:
    error = refusal(400, {"detail": "x" * 5000})
    assert error.detail == "x" * 5000
    assert str(error).endswith("x" * 500 + "…")


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b'{"detail": "caf\xe9"}', b"\x00" * 10])
def test_a_body_that_is_no_text_is_no_obstacle(body: bytes) -> None:
    error = refusal(500, body)
    assert error.body == body.decode("utf-8", "replace")
    str(error).encode()


# What else the answer carries


def test_the_request_id_is_that_of_the_answers_header() -> None:
    assert refusal(500, **{"x-request-id": "r-1"}).request_id == "r-1"
    assert refusal(500).request_id is None


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"detail": "no", "code": "c", "param": "p", "type": "t"}, ("c", "p", "t")),
        ({"error": {"message": "no", "code": "c", "param": "p", "type": "t"}}, ("c", "p", "t")),
        ({"detail": {"message": "no", "code": 7}}, ("7", None, None)),
        ({"code": None, "error": {"code": "inner"}}, ("inner", None, None)),
        ({"detail": "no"}, (None, None, None)),
        (["no"], (None, None, None)),
        ("no", (None, None, None)),
    ],
)
def test_code_param_and_type_are_read_wherever_the_body_has_them(body: Any, fields: Any) -> None:
    error = refusal(422, body)
    assert (error.code, error.param, error.type) == fields


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": DATE}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 09:28:10 +0200", "date": DATE}, 10.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 -0000", "date": DATE}, None),
        ({"retry-after": "Wed, 21 Oct 99999 07:28:30 GMT", "date": DATE}, None),
        ({"retry-after": "soon", "date": DATE}, None),
        ({"retry-after": "", "date": DATE}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_the_pause_that_is_asked_for_is_seconds_by_whichever_form(
    headers: Mapping[str, str], seconds: Optional[float]
) -> None:
    pause = error_of(Response(429, headers, b"", URL), "GET").retry_after
    assert pause == seconds
    assert pause is None or type(pause) is float


def test_the_error_of_an_answer_names_method_url_and_status() -> None:
    error = error_of(answered(422, {"detail": "no"}), "PATCH")
    assert type(error) is UnprocessableEntityError
    assert (str(error), error.url) == (f"PATCH {URL} failed with status 422: no", URL)
