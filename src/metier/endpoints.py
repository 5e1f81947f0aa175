"""Which model does what, and where it is: names, addresses and keys from settings and environment. Sends nothing.

A model is named `provider:name`:

    openai:gpt-5                         OPENAI_API_KEY, OPENAI_BASE_URL (any address that speaks chat completions)
    azure:my-deployment                  AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY, OPENAI_API_VERSION
    foundry:my-deployment                FOUNDRY_ENDPOINT, FOUNDRY_API_KEY, FOUNDRY_API_VERSION
    anthropic:claude-sonnet-5-5          ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL
    ollama:qwen3                         OLLAMA_BASE_URL
    openai-compatible:qwen@http://h/v1   OPENAI_COMPATIBLE_API_KEY, where the server wants one
    groq:…, google:…, bedrock:…          any other name that pydantic-ai knows, with the variables it reads

`openai`, `azure`, `foundry` and `anthropic` alone take the name from OPENAI_MODEL, AZURE_OPENAI_DEPLOYMENT,
FOUNDRY_CHAT_DEPLOYMENT and ANTHROPIC_MODEL. Keys are read here, at use, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, quote, unquote, urlsplit, urlunsplit

from metier.errors import SetupMissing, UsageError

if TYPE_CHECKING:
    from metier.config import ModelSettings

Kind = Literal["openai", "azure", "ollama", "compatible", "anthropic", "other"]
Use = Literal["chat", "embedding"]

OPENAI_ADDRESS = "https://api.openai.com/v1"
ANTHROPIC_ADDRESS = "https://api.anthropic.com"
OLLAMA_ADDRESS = "http://127.0.0.1:11434/v1"
DEFAULT_CHAT = {"openai": "gpt-5", "anthropic": "claude-sonnet-5-5"}
DEFAULT_EMBEDDING = "text-embedding-3-small"
AZURE_API_VERSION = "2024-10-21"
"""The last generally available version of Azure OpenAI's dated data plane; newer ones are the undated /openai/v1."""
AZURE_INFERENCE_API_VERSION = "2024-05-01-preview"
"""Of the `…services.ai.azure.com/models` address, which is versioned on its own."""
NO_KEY = "no-key-needed"
"""Sent where a server wants no key, because the clients insist on one."""


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Who does what, as `provider:name`; None where nothing names a model."""

    chat: str | None
    mutation: str | None
    embedding: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that answers for one model. Holds a key: never print it, never keep it longer than a request."""

    kind: Kind
    model: str
    base_url: str = ""
    """What `/chat/completions` and `/embeddings` are appended to; empty where pydantic-ai knows the address."""
    key: str = field(default="", repr=False)
    key_name: str = ""
    """The environment variable that holds the key."""
    address_name: str = ""
    """The environment variable that holds the address; empty where the model's name does."""
    query: Mapping[str, str] = field(default_factory=dict)
    bearer: bool = True
    """Whether the key goes into `Authorization`."""
    api_key_header: bool = False
    """Whether the key goes into `api-key`, as Azure wants it."""

    @property
    def host(self) -> str:
        """Host and port, for messages; never a path, a query or a password."""
        return host_of(self.base_url)


def resolve_models(settings: ModelSettings, override: str | None, environ: Mapping[str, str]) -> ModelNames:
    """Which models do the work here.

    The first that says something decides: `override` (for chat and mutation both), metier.toml, METIER_MODEL and its
    kin, FOUNDRY_*, AZURE_OPENAI_*, OPENAI_*, ANTHROPIC_API_KEY. Embedding leaves `wordllama` only where it is named.
    """
    chat = override or settings.chat or _from_environment(environ)
    mutation = override or settings.mutation or environ.get("METIER_MUTATION_MODEL", "").strip()
    if not mutation and chat and chat.split(":")[0] == "foundry" and (named := _foundry("MUTATION", environ)):
        mutation = named
    embedding = settings.embedding if "embedding" in settings.model_fields_set else ""
    embedding = embedding or environ.get("METIER_EMBEDDING", "").strip() or _foundry("EMBED", environ)
    return ModelNames(chat or None, mutation or chat or None, embedding or settings.embedding)


def endpoint(name: str, environ: Mapping[str, str], use: Use = "chat") -> Endpoint:
    """Where the model called `name` is, with the key that it wants.

    Raises:
        UsageError: the name or an address is malformed.
        SetupMissing: the environment lacks an address or a key, and which.
    """
    provider, _, model = name.strip().partition(":")
    if provider in ("openai", "openai-chat"):
        return _openai(model, environ, use)
    if provider == "foundry":
        named = model or environ.get("FOUNDRY_CHAT_DEPLOYMENT" if use == "chat" else "FOUNDRY_EMBED_DEPLOYMENT", "")
        return _azure_at("FOUNDRY_ENDPOINT", "FOUNDRY_API_KEY", "FOUNDRY_API_VERSION", named, environ)
    if provider == "azure":
        named = model or (environ.get("AZURE_OPENAI_DEPLOYMENT", "") if use == "chat" else "")
        return _azure_at("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_VERSION", named, environ)
    if provider == "ollama" and model:
        return _ollama(model, environ)
    if provider == "openai-compatible":
        return _compatible(model, environ)
    if provider == "anthropic":
        chosen = model or environ.get("ANTHROPIC_MODEL", "").strip() or DEFAULT_CHAT["anthropic"]
        address = _address(environ, "ANTHROPIC_BASE_URL") or ANTHROPIC_ADDRESS
        key = _key("anthropic", "ANTHROPIC_API_KEY", environ)
        return Endpoint("anthropic", chosen, address, key, "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")
    if not model:
        raise UsageError(f"{name!r} names no model; write provider:name, as in openai:gpt-5 or ollama:qwen3")
    return Endpoint("other", name.strip())


def host_of(address: str) -> str:
    """Host and port of an address, without user, path or query."""
    return urlsplit(address).netloc.rpartition("@")[2]


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """Values in the environment that are secrets by their variable's name, longest first."""
    named = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$")
    found = {value.strip() for name, value in environ.items() if named.search(name.upper()) and len(value.strip()) > 7}
    return sorted(found, key=len, reverse=True)


def shown_as(where: Endpoint, name: str, host: str) -> str:
    """A model for messages: as it was named, and the host that answers for it."""
    shown = f"openai-compatible:{where.model}" if where.kind == "compatible" else name
    shown = shown if ":" in shown else f"{shown}:{where.model}"
    return f"{shown} at {host}" if host else shown


def secrets_at(where: Endpoint, environ: Mapping[str, str]) -> list[str]:
    """What no message may hold: the key in use, a password in the address, what the environment calls secret."""
    password = urlsplit(where.base_url).password or ""
    used = {value for value in (where.key, password, unquote(password)) if len(value) > 3}
    return sorted(used - {NO_KEY} | set(secrets_in(environ)), key=len, reverse=True)


def _from_environment(environ: Mapping[str, str]) -> str:
    if named := environ.get("METIER_MODEL", "").strip():
        return named
    if named := _foundry("CHAT", environ):
        return named
    if environ.get("AZURE_OPENAI_ENDPOINT") and (deployment := environ.get("AZURE_OPENAI_DEPLOYMENT", "").strip()):
        return f"azure:{deployment}"
    if environ.get("OPENAI_API_KEY") or (environ.get("OPENAI_BASE_URL") and environ.get("OPENAI_MODEL")):
        return f"openai:{environ.get('OPENAI_MODEL', '').strip() or DEFAULT_CHAT['openai']}"
    if environ.get("ANTHROPIC_API_KEY"):
        return f"anthropic:{environ.get('ANTHROPIC_MODEL', '').strip() or DEFAULT_CHAT['anthropic']}"
    return ""


def _foundry(role: str, environ: Mapping[str, str]) -> str:
    deployment = environ.get(f"FOUNDRY_{role}_DEPLOYMENT", "").strip()
    return f"foundry:{deployment}" if deployment and environ.get("FOUNDRY_ENDPOINT") else ""


def _openai(model: str, environ: Mapping[str, str], use: Use) -> Endpoint:
    default = environ.get("OPENAI_MODEL", "").strip() or DEFAULT_CHAT["openai"] if use == "chat" else DEFAULT_EMBEDDING
    address = _address(environ, "OPENAI_BASE_URL")
    keyless = bool(address) and not environ.get("OPENAI_API_KEY", "").strip()
    key = NO_KEY if keyless else _key("openai", "OPENAI_API_KEY", environ)
    return Endpoint("openai", model or default, address or OPENAI_ADDRESS, key, "OPENAI_API_KEY", "OPENAI_BASE_URL")


def _ollama(model: str, environ: Mapping[str, str]) -> Endpoint:
    address = _address(environ, "OLLAMA_BASE_URL") or OLLAMA_ADDRESS
    if not urlsplit(address).path:
        address += "/v1"
    key = environ.get("OLLAMA_API_KEY", "").strip() or NO_KEY
    return Endpoint("ollama", model, address, key, "OLLAMA_API_KEY", "OLLAMA_BASE_URL")


def _compatible(rest: str, environ: Mapping[str, str]) -> Endpoint:
    """OPENAI_API_KEY never goes to an address that a settings file names: a library from elsewhere could collect it."""
    match = re.fullmatch(r"(?P<model>.+?)@(?P<address>https?://.+)", rest)
    if match is None or "@" in urlsplit(match["address"]).netloc:
        raise UsageError("write openai-compatible:MODEL@http://HOST:PORT/v1; a key goes into OPENAI_COMPATIBLE_API_KEY")
    key = environ.get("OPENAI_COMPATIBLE_API_KEY", "").strip() or NO_KEY
    return Endpoint("compatible", match["model"], match["address"].rstrip("/"), key, "OPENAI_COMPATIBLE_API_KEY")


def _azure_at(
    address_name: str, key_name: str, version_name: str, deployment: str, environ: Mapping[str, str]
) -> Endpoint:
    """The three shapes that Azure has: undated `…/v1`, dated `…/models`, and dated `/openai/deployments/NAME`."""
    provider = address_name.partition("_")[0].lower()
    address, asked_version = _address(environ, address_name), environ.get(version_name, "").strip()
    if not address:
        raise SetupMissing(f"{provider}: set {address_name} to the resource's address")
    if not deployment.strip():
        raise SetupMissing(f"{provider}: name the deployment, as in {provider}:my-deployment")
    key, parts = _key(provider, key_name, environ), urlsplit(address)
    version = asked_version or (parse_qs(parts.query).get("api-version") or [""])[0]
    path = re.sub(r"/(chat/completions|embeddings)$", "", parts.path.rstrip("/"))
    if (parts.hostname or "").endswith(".models.ai.azure.com") and not path:
        path = "/v1"
    bearer, query = path.endswith("/v1"), {}
    if path.endswith("/models"):
        query = {"api-version": version or AZURE_INFERENCE_API_VERSION}
    elif not bearer:
        path = re.sub(r"/openai(/.*)?$", "", path) + f"/openai/deployments/{quote(deployment.strip(), safe='')}"
        query = {"api-version": version or AZURE_API_VERSION}
    base = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    return Endpoint("azure", deployment.strip(), base, key, key_name, address_name, query, bearer, True)


def _address(environ: Mapping[str, str], name: str) -> str:
    address = environ.get(name, "").strip().rstrip("/")
    if address and not (re.match(r"https?://", address) and urlsplit(address).hostname):
        raise UsageError(f"{name} must be an address that starts with http:// or https://")
    return address


def _key(provider: str, name: str, environ: Mapping[str, str]) -> str:
    key = environ.get(name, "").strip()
    if not key:
        raise SetupMissing(f"{provider}: set {name} to the key, or choose another model with METIER_MODEL")
    if not (key.isascii() and key.isprintable()):
        raise SetupMissing(f"{name} holds characters that no key has; copy it again")
    return key
