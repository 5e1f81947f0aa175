"""JavaScript capabilities, from source to module."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from metier import Runtime
from metier.errors import BuildError
from metier.outcomes import Failed, Ran
from metier.permissions import Permissions
from metier.runner import Runner
from metier.sandbox.box import Box
from metier.sandbox.limits import Limits
from metier.sandbox.shipped import JAVASCRIPT as ENGINE
from metier.toolchains import BY_SUFFIX, Workshop, installed, template, toolchain
from tests.conftest import capability

REPOSITORY = Path(__file__).parents[2]
SOURCE = b"export function run(input) { return input }\n"
JAVASCRIPT = toolchain("javascript")


def test_a_capability_is_a_few_hundred_bytes_and_always_the_same_ones(box: Box) -> None:
    built = JAVASCRIPT.build({"capability.js": SOURCE}, Workshop(box))
    assert len(built.wasm) < 600
    assert built == JAVASCRIPT.build({"capability.js": SOURCE}, Workshop(box))
    assert (built.toolchain, built.engine) == (ENGINE.name, ENGINE.pin)


def test_it_is_there_wherever_metier_is() -> None:
    assert "javascript" in installed()
    assert BY_SUFFIX[".js"] is BY_SUFFIX[".mjs"] is JAVASCRIPT


@pytest.mark.parametrize("files", [{}, {"other.js": SOURCE}, {"capability.js": b"\xff"}])
def test_a_source_that_is_not_there_or_is_no_text_does_not_build(box: Box, files: dict[str, bytes]) -> None:
    with pytest.raises(BuildError, match=r"capability\.js"):
        JAVASCRIPT.build(files, Workshop(box))


def test_a_source_that_takes_too_long_to_compile_does_not_build(box: Box) -> None:
    with pytest.raises(BuildError, match="beyond a limit"):
        box.compile_javascript("let a = [" + "1," * 200_000 + "];", Limits(fuel=1_000_000))


def test_the_template_works(box: Box, tmp_path: Path) -> None:
    people = '[{"id": "E1", "name": "Zoë", "title": "Engineer"}]'
    (tmp_path / "employees.json").write_text(people, encoding="utf-8")
    (tmp_path / "salaries.json").write_text('[{"employee_id": "E1", "salary": 5000}]', encoding="utf-8")
    policy = Permissions.model_validate({"files": [{"root": "hr", "path": "*.json", "access": "read"}]})
    runner = Runner(box, roots={"hr": tmp_path}, policy=policy, limits=Limits())
    whole = JAVASCRIPT.build({"capability.js": template(JAVASCRIPT).encode()}, Workshop(box)).wasm
    program = runner.load(capability(permissions=policy, effects="read"), whole)
    ran, failed = (runner.run(program, {"name": name}) for name in ("Zoë", "Max"))
    assert isinstance(ran, Ran), ran
    assert ran.output == {"name": "Zoë", "title": "Engineer", "salary": 5000}
    assert isinstance(failed, Failed)
    assert (failed.code, failed.error) == ("not_found", "no employee named Max; there are: Zoë")


def test_the_program_in_the_documents_works(box: Box, tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "capabilities.md").read_text(encoding="utf-8")
    source = page.partition("```js\n")[2].partition("```")[0]
    people = '[{"id": "EMP001", "name": "John Smith", "start_date": "2018-03-12"}]'
    (tmp_path / "employees.json").write_text(people, encoding="utf-8")
    policy = Permissions.model_validate({"files": [{"root": "hr", "path": "employees.json", "access": "read"}]})
    runner = Runner(box, roots={"hr": tmp_path}, policy=policy, limits=Limits())
    wasm = JAVASCRIPT.build({"capability.js": source.encode()}, Workshop(box)).wasm
    program = runner.load(capability(permissions=policy, effects="read"), wasm)
    ran, failed = (runner.run(program, {"employee_id": id, "on": "2025-12-31"}) for id in ("EMP001", "EMP999"))
    assert isinstance(ran, Ran), ran
    assert ran.output == {"name": "John Smith", "years": 7}
    assert isinstance(failed, Failed)
    assert failed.code == "not_found"


def test_authors_who_are_asked_for_javascript_and_readers_are_told_all_of_host(box: Box, tmp_path: Path) -> None:
    program = JAVASCRIPT.build({"capability.js": b"export function run() { return Object.keys(host) }"}, Workshop(box))
    runner = Runner(box, roots={}, policy=Permissions(), limits=Limits())
    ran = runner.run(runner.load(capability(), program.wasm), {})
    assert isinstance(ran, Ran), ran
    with Runtime.open(shutil.copytree(REPOSITORY / "examples" / "hr", tmp_path / "hr")) as runtime:
        mutator = runtime.mutator()
        told = mutator.brief("Count the employees, in JavaScript", None, hand_in="submit_capability")
        other = mutator.brief("Count the employees", None, hand_in="submit_capability")
    page = (REPOSITORY / "docs" / "capabilities.md").read_text(encoding="utf-8")
    names = set(ran.output)
    assert len(names) > 15
    assert names - set(re.findall(r"\w+", page.partition("## In JavaScript")[2].partition("\n## ")[0])) == set()
    assert names - set(re.findall(r"\w+", told)) - {"removeDirectory", "stat", "env"} == set()
    assert "QuickJS" not in other
