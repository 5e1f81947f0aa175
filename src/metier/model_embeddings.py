"""Texts to vectors, by way of OpenAI's embeddings protocol. Needs nothing of pydantic-ai."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metier.endpoints import Endpoint, endpoint, secrets_at, shown_as
from metier.errors import ModelError, UsageError
from metier.model_clients import ssl_context, timeout_of

if TYPE_CHECKING:
    import httpx2

    from metier.config import ModelSettings
    from metier.model_failures import Failure

EMBED_BATCH = 96
"""Texts in one embedding request; the smallest of the limits that providers publish."""


def provider_embed(
    name: str, texts: Sequence[str], settings: ModelSettings, *, environ: Mapping[str, str] | None = None
) -> list[list[float]]:
    """One vector a text, in order, from an address that speaks OpenAI's embeddings protocol.

    Blocks; from async code, call it in a thread. Needs nothing of pydantic-ai, so that a search starts quickly.

    Raises:
        ModelError: the endpoint failed or answered nonsense.
        SetupMissing: no key or no address.
        UsageError: the name is malformed, or its provider has no such protocol.
    """
    environ = os.environ if environ is None else environ
    where = endpoint(name, environ, "embedding")
    if where.kind in ("anthropic", "other"):
        raise UsageError(f"{name} gives no embeddings; use openai:, azure:, foundry:, ollama: or openai-compatible:")
    secrets = secrets_at(where, environ)
    vectors: list[list[float]] = []
    with _embedding_client(where, settings) as client:
        for start in range(0, len(texts), EMBED_BATCH):
            batch = [text or " " for text in texts[start : start + EMBED_BATCH]]  # providers refuse an empty text
            vectors += _embed_batch(client, name, where, batch, settings, secrets)
    return vectors


def _embedding_client(where: Endpoint, settings: ModelSettings) -> httpx2.Client:
    import httpx2

    headers = {"Authorization": f"Bearer {where.key}"} if where.bearer else {}
    if where.api_key_header:
        headers["api-key"] = where.key
    query, timeout = dict(where.query), timeout_of(settings)
    return httpx2.Client(headers=headers, params=query, timeout=timeout, verify=ssl_context())


def _embed_batch(
    client: httpx2.Client,
    name: str,
    where: Endpoint,
    batch: list[str],
    settings: ModelSettings,
    secrets: list[str],
) -> list[list[float]]:
    from metier.model_failures import sentence

    for attempt in range(1, settings.retries + 2):
        answer = _embed_once(client, where, batch, settings)
        if isinstance(answer, list):
            return answer
        if not answer.worth_retrying or attempt > settings.retries:
            raise ModelError(sentence(shown_as(where, name, where.host), answer, secrets=secrets, attempts=attempt))
        time.sleep(answer.pause(attempt))
    raise AssertionError("the last attempt returns or raises")


def _embed_once(
    client: httpx2.Client, where: Endpoint, batch: list[str], settings: ModelSettings
) -> list[list[float]] | Failure:
    import httpx2

    from metier import model_failures

    try:
        response = client.post(f"{where.base_url}/embeddings", json={"model": where.model, "input": batch})
    except httpx2.HTTPError as error:
        failure = model_failures.failed_connection(error, settings.timeout_seconds)
        return failure or model_failures.Failure("could not be asked")
    try:
        body: Any = response.json()
    except ValueError:
        body = response.text
    if not response.is_success:
        failure = model_failures.failed_status(
            response.status_code, body, key_name=where.key_name, address_name=where.address_name
        )
        return dataclasses.replace(failure, retry_after=_retry_after(response.headers.get("retry-after", "")))
    vectors = _vectors(body, len(batch))
    content_type = response.headers.get("content-type", "")
    return vectors or model_failures.not_wanted(content_type, where.address_name, "a list of embeddings")


def _vectors(body: Any, count: int) -> list[list[float]] | None:
    """The vectors in the order of their texts; None unless there is one for each and all have one length."""
    try:
        rows = sorted(body["data"], key=lambda row: row.get("index", 0))
        vectors = [[float(number) for number in row["embedding"]] for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if len(vectors) != count or len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
        return None
    return vectors


def _retry_after(header: str) -> float | None:
    """Seconds; the other form, a date, is left to the back-off."""
    return float(header) if header.strip().isdigit() else None
