"""A draft: what an author hands in, decoded from whatever form a model gave it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from metier import schemas
from metier.capability import Contract, Language
from metier.model import Reply, Tool
from metier.toolchains import BY_SUFFIX, TOOLCHAINS, Files, toolchain

SUBMIT: Final = "submit_capability"


class NotADraft(Exception):
    """The reply holds no draft; each finding says what to mend."""

    def __init__(self, findings: list[str], call_id: str | None = None) -> None:
        super().__init__("; ".join(findings))
        self.findings = findings
        self.call_id = call_id


class Draft(BaseModel):
    """A contract and the source that is to keep it."""

    model_config = ConfigDict(frozen=True)

    contract: Contract
    source: str
    unfinished: tuple[dict[str, Any], ...] = ()
    """Examples without an outcome: it is filled in from the run."""
    wasm: bytes | None = None
    """The module itself, where there is no source to build it from."""
    call_id: str | None = None
    """Which tool call it came in, if it came in one."""

    @property
    def files(self) -> Files:
        """The source, under the name that its language knows it by; nothing where there is none."""
        if not self.source:
            return {}
        return {toolchain(self.contract.language).file_name: self.source.encode("utf-8")}


FREE: Final[dict[str, Any]] = {"type": "object", "additionalProperties": True}


def example_schema() -> dict[str, Any]:
    """The schema of an example, for those who write them as calls of a tool."""
    return {
        "type": "object",
        "properties": {
            "task": {"type": "string", "description": "the task in a user's words"},
            "input": FREE,
            "output": {**FREE, "description": "the exact output; leave it out where an error is expected"},
            "error": {
                "type": "object",
                "properties": {"kind": {"type": "string"}, "message": {"type": "string"}},
                "description": "for an input that must fail: the kind, and words that the message contains",
            },
            "answer": {"type": "string", "description": "a sentence with {placeholders} over the output"},
            "fixtures": {
                **FREE,
                "description": 'files to use in place of the live ones: {"hr/employees.json": content}',
            },
            "after": {
                **FREE,
                "description": 'what files hold when a program that writes has run: {"hr/employees.json": content}',
            },
        },
        "required": ["input"],
    }


def submit_tool(languages: Sequence[Language] = tuple(TOOLCHAINS), *, source_may_be_kept: bool = False) -> Tool:
    """What a capability is handed in with. `languages` are those to choose from; the source may be left out where it
    may have been kept before."""
    free = FREE
    schema = {**free, "description": "a JSON Schema (2020-12) object"}
    properties = {
        "id": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$"},
        "summary": {"type": "string"},
        "input_schema": schema,
        "output_schema": schema,
        "effects": {"enum": ["pure", "read", "write"]},
        "permissions": {**free, "description": 'e.g. {"files": [{"root", "path", "access"}]}; {} for none'},
        "examples": {"type": "array", "minItems": 3, "items": example_schema()},
        "source": {"type": "string", "description": "the whole source file"},
    }
    required = [name for name in properties if name != "source" or not source_may_be_kept]
    properties["fixtures"] = {
        **free,
        "description": "files of every example but the first that does not bring them itself",
    }
    properties["language"] = {"enum": [*languages], "default": next(iter(TOOLCHAINS))}
    parameters = {"type": "object", "properties": properties, "required": required}
    return Tool(SUBMIT, "Hand in the capability: its contract, examples and source.", parameters)


def read_draft(reply: Reply) -> Draft:
    """The draft in a model's reply.

    Raises:
        NotADraft: there is none, or it does not parse; says precisely why.
    """
    return draft_of(*fields_of(reply))


def fields_of(reply: Reply) -> tuple[Mapping[str, Any], str | None]:
    """What a model handed in: a call of the tool, with its id, or a JSON object in the text, fenced or bare.

    Raises:
        NotADraft: there is neither.
    """
    call = next((call for call in reply.calls if call.name == SUBMIT), reply.calls[0] if reply.calls else None)
    if call is None:
        return _object_in(reply.text), None
    if call.name != SUBMIT:
        raise NotADraft([f"there is no tool named {call.name!r}; call {SUBMIT}"], call.id)
    if call.arguments is None:
        raise NotADraft([f"the arguments do not parse: {call.problem}"], call.id)
    return call.arguments, call.id


def completed(fields: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a draft, with what it leaves out as in an earlier one. A draft that names itself and has a source
    has its own language too, which is the first one where it says nothing."""
    said = {name: value for name, value in fields.items() if value is not None and (name != "source" or value)}
    own = {"language"} if {"id", "source"} <= said.keys() else set()
    return {**{name: value for name, value in kept.items() if name in FIELDS and name not in own}, **said}


def _object_in(text: str) -> dict[str, Any]:
    blocks = re.findall(r"```[ \t]*(\w*)[^\n]*\n(.*?)```", text, re.DOTALL)
    jsons = [body for language, body in blocks if language in ("json", "")] or [text]
    problem = "no JSON object in it"
    for body in jsons:
        try:
            value = schemas.parse(body.strip(), what="the reply")
        except schemas.InvalidJson as error:
            problem = str(error)
            continue
        if isinstance(value, dict):
            sources = [(found, body) for name, body in blocks if (found := _language(name)) is not None]
            if "source" in value or not sources:
                return value
            return {"language": sources[0][0], **value, "source": sources[0][1]}
    raise NotADraft([f"call the tool {SUBMIT} with the whole capability ({problem})"])


def _language(name: str) -> Language | None:
    """The language that a fence names, by its name or as files in it end."""
    name = {"c++": "cpp"}.get(name.lower(), name.lower())
    if found := next((language for language in TOOLCHAINS if language == name), None):
        return found
    by_suffix = BY_SUFFIX.get(f".{name}")
    return by_suffix.language if by_suffix else None


CONTRACT_FIELDS = frozenset({"id", "summary", "input_schema", "output_schema", "effects", "permissions", "examples"})
FIELDS: Final = CONTRACT_FIELDS | {"source", "language", "fixtures"}


def draft_of(fields: Mapping[str, Any], call_id: str | None = None, *, wasm: bytes | None = None) -> Draft:
    """The draft in the fields that `submit_tool` describes, whoever filled them in; with `wasm` there is no source.

    Raises:
        NotADraft: something is missing or wrong; each finding names the field.
    """
    try:
        schemas.parse(schemas.compact(dict(fields)), what="the draft")  # some callers' parsers let more through
    except (ValueError, TypeError, RecursionError) as error:
        raise NotADraft([f"the draft is not JSON: {error}"], call_id) from None
    known = CONTRACT_FIELDS | ({"source"} if wasm is None else set())
    findings = [f"{name} is missing" for name in sorted(known - set(fields))]
    findings += [f"{name} is not a field" for name in sorted(set(fields) - known - {"language", "fixtures"})]
    source = fields.get("source")
    if wasm is None and (not isinstance(source, str) or not source.strip()):
        findings.append("source must be the text of the source file")
    if wasm is None and fields.get("language", next(iter(TOOLCHAINS))) not in list(TOOLCHAINS):
        findings.append(f"language must be one of {', '.join(TOOLCHAINS)}")
    if findings:
        raise NotADraft(findings, call_id)
    plain = ("source", "id", "summary", "language", "fixtures")
    values = {key: decoded(value) for key, value in fields.items() if key not in plain}
    language = fields.get("language", next(iter(TOOLCHAINS)) if wasm is None else "wasm")
    if isinstance(values["examples"], list):
        first, rest = values["examples"][:1], values["examples"][1:]
        values["examples"] = [*first, *with_shared(rest, decoded(fields.get("fixtures")))]
    values["examples"], unfinished = _split(values["examples"])
    try:
        contract = Contract.model_validate(
            {**values, "id": fields["id"], "summary": fields["summary"], "language": language}
        )
    except ValidationError as error:
        raise NotADraft(_all_problems(error), call_id) from None
    return Draft(
        contract=contract,
        source=_unfenced(str(source)) if source else "",
        unfinished=unfinished,
        wasm=wasm,
        call_id=call_id,
    )


def _split(examples: Any) -> tuple[Any, tuple[dict[str, Any], ...]]:
    """The first example apart where it has no outcome: it gets what the program returns on the data as it is."""
    if not isinstance(examples, list) or not examples or not isinstance(examples[0], dict):
        return examples, ()
    open_ = examples[0].get("output") is None and examples[0].get("error") is None
    return (examples[1:], (examples[0],)) if open_ else (examples, ())


def with_shared(examples: Any, shared: Any) -> Any:
    """The examples, each with those of the `shared` fixtures that it does not bring itself."""
    if not isinstance(examples, list) or not isinstance(shared, dict):
        return examples
    return [_sharing(example, shared) for example in examples]


def _sharing(example: Any, shared: dict[str, Any]) -> Any:
    own = decoded(example.get("fixtures")) if isinstance(example, dict) else False
    if own == {} or not isinstance(own, dict | None):
        return example
    return {**example, "fixtures": {**shared, **(own or {})}}


def decoded(value: Any) -> Any:
    """Some models hand in objects as JSON text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return schemas.parse(value, what="the value")
        except schemas.InvalidJson:
            return value
    return value


def _unfenced(source: str) -> str:
    whole = re.fullmatch(r"\s*```[^\n]*\n(.*?)\n?```\s*", source, re.DOTALL)
    return (whole.group(1) if whole else source).rstrip() + "\n"


def _all_problems(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [_problem(".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, ")) for e in found[:12]]


def _problem(where: str, message: str) -> str:
    if re.fullmatch(r"permissions\.files\.\d+", where):
        message = 'must be an object such as {"root": "hr", "path": "employees.json", "access": "read"}'
    return f"{where}: {message}" if where else message
