"""The one place where exceptions of requests, urllib3, ssl and the socket layer become lgsync's own."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import sys
from typing import Iterator, List, Optional, Set, Type, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3.exceptions as urllib3_errors
from requests import exceptions as requests_errors

from ..errors import ConfigurationError, ConnectionFailed, ConnectionLost, ConnectionTimeout, LgsyncError
from ..transport import Timeout

__all__ = ["translated"]

E = TypeVar("E", bound=BaseException)

_FOREIGN = (
    requests.RequestException,
    urllib3_errors.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
    # What requests makes of a proxy's URL that names no host.
    TypeError,
)

_TIMEOUTS = (requests_errors.ReadTimeout, urllib3_errors.ReadTimeoutError, socket.timeout)

# With these TLS ends a connection that may have stood before; all its other errors are of the handshake.
_TLS_ENDINGS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)

# What OpenSSL's versions call an answer that is not TLS.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")

# A strange answer may be quoted at any length.
_CAUSE_CHARS = 200

# How a TLS server's alert begins, read as if it were a status line.
_TLS_ALERT = "\x15\x03"


@contextlib.contextmanager
def translated(url: str, timeout: Optional[Timeout] = None, *, reading: bool = False) -> Iterator[None]:
    """Turn what requests and all below it raise into ConnectionFailed, ConnectionLost or ConfigurationError.

    ``url`` is what the message names; ``reading`` says that the answer has begun.
    """
    handled = sys.exc_info()[1]
    try:
        yield
    except LgsyncError:
        raise
    except (requests_errors.InvalidHeader, UnicodeEncodeError) as exc:
        if _find(exc, urllib3_errors.InvalidHeader):
            raise _not_answered(url, timeout, exc) from exc
        # These hold the header's value, which may be a key.
        raise ConfigurationError(
            f"No request can be made to {url}: a header is no text, begins with a blank, or holds a line break or "
            "characters outside Latin-1"
        ) from None
    except _FOREIGN as exc:
        if not reading and _is_about_a_url(exc):
            # That of a proxy may hold a password, and each of these quotes what it could not read.
            raise ConfigurationError(
                f"No request can be made to {url}: this URL, or that of a proxy in HTTP_PROXY, HTTPS_PROXY or "
                f"ALL_PROXY, cannot be read ({type(exc).__name__})"
            ) from None
        failure = _while_reading(url, exc) if reading else _while_asking(url, timeout, exc)
        raise failure from _shown_alone(exc, handled)


def _shown_alone(exc: E, handled: Optional[BaseException]) -> E:
    """``exc`` without the exceptions that it was made of, each of which a traceback would print: its text quotes them.

    ``handled`` is what the caller was just handling, and stays.
    """
    if isinstance(exc, (requests.RequestException, urllib3_errors.HTTPError)):
        exc.__cause__, exc.__context__ = None, handled
        exc.__suppress_context__ = False
    return exc


def _while_reading(url: str, exc: BaseException) -> LgsyncError:
    if _find(exc, *_TIMEOUTS):
        return ConnectionTimeout(
            f"{url} sent nothing for as long as was to be waited; raise timeout=… if it may be so silent",
            url=url,
        )
    return ConnectionLost(f"The connection to {url} broke while its answer was read: {_cause(exc)}", url=url)


def _while_asking(url: str, timeout: Optional[Timeout], exc: BaseException) -> LgsyncError:
    if _is_misuse(exc):
        return ConfigurationError(f"No request can be made to {url}: {exc}")
    why = _why_not_connected(url, timeout, exc)
    if why is not None:
        refused = _find(exc, ConnectionRefusedError) is not None
        return ConnectionFailed(f"Cannot connect to {url}: {why}", url=url, refused=refused)
    return _not_answered(url, timeout, exc)


def _is_misuse(exc: BaseException) -> bool:
    """Whether a setting is at fault: a URL or header that cannot be sent, a certificate file that is not there."""
    if isinstance(exc, ssl.SSLError):
        return False
    if isinstance(exc, ValueError):
        return True
    # What the network does comes wrapped; a bare OSError is about a file.
    network = (requests.RequestException, urllib3_errors.HTTPError, ConnectionError, socket.timeout)
    return isinstance(exc, OSError) and not isinstance(exc, network)


def _is_about_a_url(exc: BaseException) -> bool:
    """Whether a URL cannot be read. One whose scheme is not known can: of that only the scheme is quoted."""
    if isinstance(exc, OSError) or _find(exc, urllib3_errors.URLSchemeUnknown):
        return isinstance(exc, requests_errors.InvalidURL)
    return isinstance(exc, (ValueError, TypeError))


def _why_not_connected(url: str, timeout: Optional[Timeout], exc: BaseException) -> Optional[str]:
    if _find(exc, requests_errors.ProxyError, urllib3_errors.ProxyError):
        settings = "Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY; NO_PROXY exempts hosts."
        return f"the proxy did not connect ({_cause(exc)}). {settings}"
    if _find(exc, ssl.SSLError, requests_errors.SSLError, urllib3_errors.SSLError) and not _find(exc, *_TLS_ENDINGS):
        return _tls_advice(exc)
    if _find(exc, socket.gaierror, urllib3_errors.NameResolutionError):
        return f"no host named {urlsplit(url).hostname!r} is known. Check the URL's host name."
    if _find(exc, ConnectionRefusedError):
        return "connection refused. Is the server running, and at this port? `langgraph dev` listens on 2024."
    # urllib3 counts every connection that could not be made as a timeout of connecting.
    if _find(exc, urllib3_errors.NewConnectionError):
        return f"{_cause(exc)}. Check the URL's host and port, and the network."
    if _find(exc, requests_errors.ConnectTimeout, urllib3_errors.ConnectTimeoutError):
        seconds = f" within {timeout.connect:g} s" if timeout and timeout.connect else ""
        return f"no answer{seconds}. Is the host up, and does a firewall stand in between?"
    strange = _find(exc, http.client.BadStatusLine)
    if strange is not None and str(strange).startswith(_TLS_ALERT):
        return "the server speaks TLS at this port. Use https:// in the URL."
    return None


def _tls_advice(exc: BaseException) -> str:
    text = _cause(exc)
    if _find(exc, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            f"its certificate is not trusted ({text}). For an authority of your own set REQUESTS_CA_BUNDLE, "
            "or pass a session whose verify names its file."
        )
    if any(words in text.upper().replace(" ", "_") for words in _NOT_TLS):
        return "the server does not speak TLS at this port. Use http:// in the URL."
    return f"the TLS connection failed ({text}). Does this port speak TLS? If not, use http:// in the URL."


def _not_answered(url: str, timeout: Optional[Timeout], exc: BaseException) -> LgsyncError:
    if _find(exc, *_TIMEOUTS):
        seconds = f"{timeout.read:g} s" if timeout and timeout.read else "the time allowed"
        return ConnectionTimeout(f"{url} did not answer within {seconds}; raise timeout=… to wait longer", url=url)
    hint = ""
    if _find(exc, http.client.RemoteDisconnected, ConnectionResetError) and url.startswith("http:"):
        hint = ". If this port speaks TLS, use https:// in the URL"
    elif _find(exc, *_TLS_ENDINGS):
        hint = ". If this port does not speak TLS, use http:// in the URL"
    return ConnectionLost(f"{url} broke the connection before its answer was whole: {_cause(exc)}{hint}", url=url)


def _find(exc: BaseException, *kinds: Type[E]) -> Optional[E]:
    """The first of ``kinds`` among ``exc`` and all that it wraps."""
    return next((one for one in _wrapped(exc) if isinstance(one, kinds)), None)


def _wrapped(exc: BaseException) -> Iterator[BaseException]:
    """``exc`` and all within it: requests and urllib3 keep a cause in an argument, in ``reason`` or as the cause.

    Not the context: that may be an earlier failure which the caller was just handling.
    """
    waiting: List[BaseException] = [exc]
    seen: Set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            held = (*one.args, getattr(one, "reason", None), one.__cause__)
            waiting.extend(other for other in held if isinstance(other, BaseException))


def _cause(exc: BaseException) -> str:
    """The innermost cause in words; the libraries' own text would repeat the URL with its query."""
    words = type(exc).__name__
    for one in _wrapped(exc):
        if isinstance(one, (http.client.IncompleteRead, urllib3_errors.IncompleteRead)):
            return "the body ended too early"
        if isinstance(one, OSError) and not isinstance(one, requests.RequestException):
            words = one.strerror or str(one) or words
        elif isinstance(one, (http.client.HTTPException, urllib3_errors.InvalidHeader)):
            words = str(one)[:_CAUSE_CHARS] or words
    return words
