"""The OpenAPI document, held against the server by schemathesis: what it says is what is answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from metier import Runtime
from metier.library import Library
from metier.testing import ScriptedModel
from tests.conftest import ECHO
from tests.test_mcp_server import CITY, publish
from tests.web.test_app import run_echo, serving

schemathesis = pytest.importorskip("schemathesis", reason="pip install 'metier[dev]'")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    library = Library.create(tmp_path_factory.mktemp("openapi") / "capabilities")
    publish(library, "echo_city", "Returns the city.", ECHO, input_schema=CITY, output_schema=CITY)
    with Runtime.open(library.path, model=ScriptedModel(run_echo)) as runtime:
        runtime.call("echo_city", {"city": "Oslo"})
        yield runtime


@pytest.fixture(scope="module")
def server(runtime: Runtime) -> Iterator[httpx2.Client]:
    with serving(runtime) as client:
        yield client


@pytest.fixture(scope="module")
def document(server: httpx2.Client) -> Any:
    return schemathesis.openapi.from_url(f"{server.base_url}/openapi.json")


EXAMPLES = settings(
    max_examples=5,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_what_the_document_says_is_so(document: Any, mode: Any) -> None:
    tried = 0
    for found in document.get_all_operations():
        operation = found.ok()

        @EXAMPLES
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers_as_it_says(case: Any) -> None:
            case.call_and_validate()

        with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
            answers_as_it_says()
        tried += 1
    assert tried == 20


def test_the_document_has_every_endpoint_that_is_served(server: httpx2.Client) -> None:
    told = server.get("/openapi.json").json()
    listed = {f"{method.upper()} {path}" for path, methods in told["paths"].items() for method in methods}
    assert listed | {"GET /ui/", "POST /mcp", "GET /openapi.json"} == set(server.get("/").json()["endpoints"])
    assert {"TaskStarted", "Answered", "Capability", "ErrorAnswer"} <= set(told["components"]["schemas"])
