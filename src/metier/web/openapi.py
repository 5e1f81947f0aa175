"""The table of endpoints, and the OpenAPI document that is made of it and of the models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

import metier
from metier.capability import Capability
from metier.events import Event
from metier.web import models
from metier.web.api import Api, Handler

REFERENCE = "#/components/schemas/{model}"
ID = {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$"}
PARAMETERS = {"id": ID, "run_id": {"type": "string", "pattern": "^[0-9a-f]{1,40}$"}}
ANY: dict[str, Any] = {}

LOOKS = (400,)
ONE = (400, 404, 500)
CHANGES = (400, 404, 408, 409, 413, 500)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint. `fails` are the statuses that it may answer with besides 200."""

    method: str
    path: str
    handler: Handler
    does: str
    answer: type[BaseModel] | str | None
    """A model; the media type of a text; None for any JSON value."""
    query: type[BaseModel] = models.NoQuery
    body: type[BaseModel] | None = None
    any_body: bool = False
    """Whether the body is any JSON value."""
    many: bool = False
    """Whether the answer is a list of it."""
    fails: Sequence[int] = LOOKS
    streams: bool = False
    """Whether it can answer in server-sent events as well."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def endpoints(api: Api) -> tuple[Endpoint, ...]:
    """All of the JSON API."""
    one = "/capabilities/{id}"
    running = (400, 404, 408, 409, 413, 422, 500, 503)
    solving = (400, 403, 408, 413, 422, 500, 502, 503, 504)
    return (
        Endpoint("GET", "/health", api.health, "Whether it works, and with what", models.Health),
        Endpoint("GET", "/metrics", api.metrics, "Figures for Prometheus", "text/plain"),
        Endpoint("GET", "/stats", api.stats, "Reuse, cost, growth and failures", models.Stats, models.StatsQuery),
        Endpoint("GET", "/capabilities", api.capabilities, "Every capability", models.Capabilities),
        Endpoint("GET", one, api.capability, "One of them, whole", Capability, models.VersionQuery, fails=ONE),
        Endpoint("GET", f"{one}/versions", api.versions, "Its lineage, oldest first", models.Versions, fails=ONE),
        Endpoint(
            "GET", f"{one}/source", api.source, "What it was built from", models.Source, models.VersionQuery, fails=ONE
        ),
        Endpoint("GET", f"{one}/diff", api.diff, "Two versions compared", models.Diff, models.DiffQuery, fails=ONE),
        Endpoint(
            "POST",
            f"{one}/run",
            api.run,
            "The input as body, the output as answer",
            None,
            models.VersionQuery,
            any_body=True,
            fails=running,
        ),
        Endpoint(
            "POST",
            f"{one}/rollback",
            api.roll_back,
            "An earlier version published again",
            models.State,
            body=models.RollbackBody,
            fails=CHANGES,
        ),
        Endpoint(
            "POST",
            f"{one}/status",
            api.set_status,
            "Retired, or back in use",
            models.State,
            body=models.StatusBody,
            fails=CHANGES,
        ),
        Endpoint(
            "POST",
            f"{one}/pin",
            api.pin,
            "Kept as it is, or let go again",
            models.State,
            body=models.PinBody,
            fails=CHANGES,
        ),
        Endpoint("GET", "/search", api.search, "The nearest to a task", models.Scored, models.SearchQuery, many=True),
        Endpoint(
            "POST",
            "/tasks",
            api.task,
            "A task solved; with Accept: text/event-stream, event by event",
            models.Answered,
            body=models.TaskBody,
            fails=solving,
            streams=True,
        ),
        Endpoint("GET", "/runs", api.runs, "The latest runs, newest first", models.Runs, models.RunsQuery),
        Endpoint("GET", "/runs/{run_id}", api.recorded, "One run, with its effects", models.RunDetail, fails=ONE),
        Endpoint(
            "POST", "/runs/{run_id}/replay", api.replay, "It once more, offline, compared", models.Replayed, fails=ONE
        ),
        Endpoint("GET", "/approvals", api.approvals, "Drafts that wait for a person", models.Drafts),
        Endpoint("GET", "/approvals/{id}", api.approval, "One of them, whole", models.DraftDetail, fails=ONE),
        Endpoint(
            "POST",
            "/approvals/{id}",
            api.decide,
            "It published, or thrown away",
            models.Decided,
            body=models.DecisionBody,
            fails=CHANGES,
        ),
    )


def document(table: Sequence[Endpoint]) -> dict[str, Any]:
    """The OpenAPI document, version 3.1."""
    shown = {m for e in table for m in (e.answer, e.body) if isinstance(m, type)} | {models.ErrorAnswer}
    ordered = sorted(shown, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in ordered], ref_template=REFERENCE)
    happening = TypeAdapter(Event).json_schema(ref_template=REFERENCE)
    components = {**happening.pop("$defs"), **schemas["$defs"], "Event": happening}
    paths: dict[str, Any] = {}
    for endpoint in table:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Metier", "version": metier.__version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    good: dict[str, Any] = {"application/json": {"schema": _answer(endpoint)}}
    if isinstance(endpoint.answer, str):
        good = {endpoint.answer: {"schema": {"type": "string"}}}
    if endpoint.streams:
        told = "One `Event` a frame, named by its type; an `error` ends it where the task fails"
        good["text/event-stream"] = {"schema": {"type": "string", "description": told}}
    failed = {"application/json": {"schema": {"$ref": REFERENCE.format(model="ErrorAnswer")}}}
    operation: dict[str, Any] = {
        "summary": endpoint.does,
        "operationId": endpoint.handler.__name__,
        "parameters": [*_in_path(endpoint.path), *_in_query(endpoint.query)],
        "responses": {
            "200": {"description": endpoint.does, "content": good},
            **{str(status): {"description": "An error", "content": failed} for status in endpoint.fails},
        },
    }
    if endpoint.body is not None or endpoint.any_body:
        schema = {"$ref": REFERENCE.format(model=endpoint.body.__name__)} if endpoint.body else ANY
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    if not isinstance(endpoint.answer, type):
        return ANY
    reference = {"$ref": REFERENCE.format(model=endpoint.answer.__name__)}
    return {"type": "array", "items": reference} if endpoint.many else reference


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name, schema in PARAMETERS.items()
        if f"{{{name}}}" in path
    ]


def _in_query(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    found = []
    for name, property in schema.get("properties", {}).items():
        alternatives = [one for one in property.get("anyOf", ()) if one != {"type": "null"}]
        own = alternatives[0] if alternatives else {k: v for k, v in property.items() if k not in ("title", "default")}
        told = {"description": property["description"]} if "description" in property else {}
        required = name in schema.get("required", ())
        found.append({"name": name, "in": "query", "required": required, "schema": own, **told})
    return found
