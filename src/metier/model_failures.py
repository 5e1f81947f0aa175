"""What went wrong at a model's endpoint, as one line for a reader, and whether asking again can help."""

from __future__ import annotations

import dataclasses
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_WORDS = 300
"""Characters of a provider's own words that a message repeats."""
MAX_WAIT = 60.0
"""Seconds. A provider that asks for a longer pause is not waited for."""
RAISE_TIMEOUT = "raise [model] timeout_seconds in metier.toml, or try again"


class Nonsense(Exception):
    """A reply that arrived and is not one. The message completes "MODEL at HOST …"."""


@dataclass(frozen=True, slots=True)
class Failure:
    """`what` completes "MODEL at HOST …", `words` are the provider's own, `advice` is what to do."""

    what: str
    advice: str = ""
    words: str = ""
    retry: bool = False
    """Whether the same request may succeed."""
    retry_after: float | None = None
    """Seconds that the provider asked to wait."""

    @property
    def worth_retrying(self) -> bool:
        return self.retry and (self.retry_after or 0) <= MAX_WAIT

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the failed attempt with this number, counted from 1: 0.5, 1, 2, 4, 8, 8, …"""
        return self.retry_after if self.retry_after is not None else min(0.5 * 2 ** (attempt - 1), 8.0)


def sentence(who: str, failure: Failure, *, secrets: Sequence[str], attempts: int = 1) -> str:
    """The whole message: who, what, the provider's words (redacted, then shortened), how often, and what to do."""
    words = one_line(failure.words, secrets)
    if len(words) > MAX_WORDS:
        words = words[: MAX_WORDS - 2] + " …"
    advice = failure.advice
    if failure.retry_after is not None and failure.retry_after > MAX_WAIT:
        advice = f"it asks to wait {failure.retry_after:.0f} s"
    line = who + " " + failure.what + (f": {words}" if words else "")
    line += (f" ({attempts} attempts)" if attempts > 1 else "") + (f"; {advice}" if advice else "")
    return one_line(line, secrets)


def one_line(text: str, secrets: Sequence[str]) -> str:
    """`text` on one line, without control characters, and without any of `secrets`."""
    for secret in secrets:
        text = text.replace(secret, "[key]")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def failed_status(status: int, body: object, *, key_name: str, address_name: str, spent: bool = False) -> Failure:
    """An answer with an HTTP status that is not success. `spent`: the account is known to have nothing left."""
    failure = Failure(f"answered HTTP {status}", words=provider_words(body))
    if status in (401, 403):
        return dataclasses.replace(failure, advice=f"check {key_name or 'the key'}")
    if spent or status == 402:
        return dataclasses.replace(failure, advice="the account's quota is used up")
    if status in (404, 405) or 300 <= status < 400:
        return dataclasses.replace(failure, advice=f"check the model's name and {address_name or 'its address'}")
    if status == 429:
        advice = "wait a while, or raise [model] retries in metier.toml"
        return dataclasses.replace(failure, advice=advice, retry=True)
    if status in (408, 409) or status >= 500:
        return dataclasses.replace(failure, advice="the provider has a problem; try again later", retry=True)
    return failure


def failed_connection(error: BaseException, seconds: float) -> Failure | None:
    """A request that got no answer, by the errors of httpx2 and the system in its chain; None when it is not one.

    Silence is not asked again: it would take `seconds` once more, and the first request may still be worked on.
    """
    import httpx2

    causes = list(_causes(error))

    def is_any(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if is_any(httpx2.ConnectTimeout):
        return Failure("did not accept a connection in time", "is the server running?", retry=True)
    if is_any(httpx2.TimeoutException, TimeoutError):
        return Failure(f"timed out after {seconds:g} s", RAISE_TIMEOUT)
    if is_any(ConnectionRefusedError):
        return Failure("refused the connection", "is the server running?", retry=True)
    if is_any(socket.gaierror):
        return Failure("has a host name that leads nowhere", "check the address and the network")
    if is_any(ssl.SSLError):
        words = next(str(cause) for cause in causes if isinstance(cause, ssl.SSLError))
        return Failure("could not be reached safely", "check the address and its certificate", words)
    if is_any(httpx2.ConnectError):
        return Failure("could not be reached", "check the address and the network", retry=True)
    if is_any(httpx2.TransportError, ConnectionError):
        return Failure("closed the connection without an answer", "try again", retry=True)
    return None


def failed_ask(
    error: Exception, *, key_name: str, address_name: str, seconds: float, content_type: str | None
) -> Failure | None:
    """What an exception out of pydantic-ai means. Its own text is used only where the provider wrote it.

    `content_type` is that of the answer, None where none arrived. Without one, an error of no known kind is not the
    endpoint's doing, and the result is None.
    """
    from pydantic_ai.exceptions import ModelHTTPError, ModelQuotaExceededError, ModelRequestTimeout, UserError

    if isinstance(error, Nonsense):
        return Failure("answered with nonsense", "try again, or another model", str(error))
    if isinstance(error, ModelHTTPError):
        spent = isinstance(error, ModelQuotaExceededError)
        status = error.status_code
        failure = failed_status(status, error.body, key_name=key_name, address_name=address_name, spent=spent)
        return dataclasses.replace(failure, retry_after=error.retry_after)
    if isinstance(error, ModelRequestTimeout):
        return Failure(f"timed out after {seconds:g} s", RAISE_TIMEOUT)
    if (unanswered := failed_connection(error, seconds)) is not None:
        return unanswered
    status = next((s for cause in _causes(error) if isinstance(s := getattr(cause, "status_code", None), int)), 0)
    if status >= 300:
        return failed_status(status, None, key_name=key_name, address_name=address_name)
    if isinstance(error, UserError):
        return Failure("cannot be asked this way", words=str(error))
    return None if content_type is None else not_wanted(content_type, address_name, "a chat completion")


def not_wanted(content_type: str, address_name: str, wanted: str) -> Failure:
    """A success status over a body that is something else than `wanted`."""
    kind = content_type.partition(";")[0].strip().lower()
    advice = f"does {address_name} lack /v1?" if address_name.startswith(("OPENAI", "OLLAMA")) else "check the address"
    if kind in ("text/html", "application/xhtml+xml"):
        return Failure("answered with an HTML page instead of JSON", advice)
    if kind and "json" not in kind:
        return Failure(f"answered with {kind} instead of JSON", advice)
    return Failure(f"answered with something that is not {wanted}", advice)


def provider_words(body: object) -> str:
    """The message inside an error body, whatever its shape: OpenAI's, Anthropic's, Ollama's, FastAPI's, or text."""
    if isinstance(body, dict):
        told = next((body[key] for key in ("error", "message", "detail", "errors") if body.get(key)), None)
        return provider_words(told) if told is not None else str(body) if body else ""
    text = "" if body is None else str(body)
    if re.match(r"\s*<(!doctype|html|\?xml)", text, re.IGNORECASE):
        title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        return f"an HTML page: {title[1].strip()}" if title else "an HTML page"
    return text


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and everything that it was raised from or gathers, each once."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]
