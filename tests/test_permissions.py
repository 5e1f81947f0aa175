from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from metier.permissions import (
    Access,
    FilePermission,
    Grant,
    HttpPermission,
    Permissions,
    glob_covers,
    glob_matches,
    glob_reaches,
)

SEGMENT = st.text("ab*", min_size=1, max_size=3).filter(lambda text: "**" not in text)
GLOB = st.tuples(st.lists(SEGMENT, max_size=2), st.booleans()).map(
    lambda drawn: "/".join([*drawn[0], "**"] if drawn[1] or not drawn[0] else drawn[0])
)
SEGMENTS = ["".join(letters) for size in (1, 2, 3, 4) for letters in itertools.product("abz", repeat=size)]
PATHS = [*SEGMENTS, *("/".join(two) for two in itertools.product(SEGMENTS[:39], repeat=2))]
PATHS += ["/".join(three) for three in itertools.product(SEGMENTS[:12], repeat=3)] + ["a/a/a/a", "b/b/b/b"]


def instances(glob: str) -> list[str]:
    """Paths that the glob matches: every wildcard filled in several ways. "z" is a letter that no glob has."""
    fillings = [["z", "a", "z/z", "a/b/z"] if part == "**" else ["", "a", "b", "z"] for part in _wildcards(glob)]
    paths = []
    for filling in itertools.product(*fillings):
        parts = iter(filling)
        paths.append("".join(next(parts) if "*" in piece else piece for piece in re.split(r"(\*\*|\*)", glob)))
    return [path for path in paths if all(path.split("/"))]


def _wildcards(glob: str) -> list[str]:
    return re.findall(r"\*\*|\*", glob)


FILES = st.builds(
    FilePermission, root=st.sampled_from(["hr", "logs"]), path=GLOB, access=st.sampled_from(["read", "write"])
)
HTTP = st.builds(
    HttpPermission,
    origin=st.sampled_from(["https://a.example", "https://b.example"]),
    methods=st.lists(st.sampled_from(["GET", "POST"]), min_size=1, unique=True).map(tuple),
    path=GLOB.map(lambda glob: f"/{glob}"),
    secrets=st.lists(st.sampled_from(["KEY", "TOKEN"]), unique=True).map(tuple),
)
VERBS = st.lists(st.sampled_from(["select", "insert"]), unique=True)
MANIFEST = st.fixed_dictionaries(
    {},
    optional={
        "files": st.lists(FILES, max_size=3),
        "http": st.lists(HTTP, max_size=2),
        "sql": st.lists(
            st.fixed_dictionaries(
                {"store": st.sampled_from(["hr", "crm"]), "tables": st.dictionaries(st.sampled_from("tu"), VERBS)}
            ),
            max_size=2,
        ),
        "call": st.lists(st.sampled_from(["a", "b", "*"]), max_size=2),
        "clock": st.sampled_from(["fixed", "recorded"]),
        "random": st.sampled_from(["seeded", "recorded"]),
        "env": st.dictionaries(st.sampled_from(["TZ", "LANG"]), st.sampled_from(["x", "y"])),
    },
).map(Permissions.model_validate)


def permissions(**keys: Any) -> Permissions:
    return Permissions.model_validate(keys)


def reading(path: str, access: str = "read") -> Permissions:
    return permissions(files=[{"root": "hr", "path": path, "access": access}])


# Globs


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a.json", "a.json", True),
        ("a.json", "b/a.json", False),
        ("*.json", "a.json", True),
        ("*.json", "a/b.json", False),
        ("**", "a/b/c", True),
        ("a/**", "a/b", True),
        ("a/**", "a", False),
        ("a/*", "a/b/c", False),
        ("**", "../secret", False),
        ("a/**", "a/../../secret", False),
        ("a/*", "a/.", False),
        ("*", "a\nb", True),
    ],
)
def test_a_star_stays_in_its_segment_and_two_go_below(pattern: str, path: str, matches: bool) -> None:
    assert glob_matches(pattern, path) is matches


@given(GLOB, GLOB)
def test_a_glob_covers_another_exactly_when_it_matches_every_path_of_the_other(wide: str, narrow: str) -> None:
    paths = instances(narrow)
    assert paths
    assert all(glob_matches(narrow, path) for path in paths)
    assert glob_covers(wide, narrow) == all(glob_matches(wide, path) for path in paths)
    if glob_covers(wide, narrow):
        assert all(glob_matches(wide, path) for path in PATHS if glob_matches(narrow, path))


@given(GLOB, st.sampled_from(["", *PATHS]))
def test_a_glob_reaches_a_folder_exactly_when_it_matches_something_beneath(pattern: str, folder: str) -> None:
    above = folder.split("/") if folder else []
    tails = {"/".join(path.split("/")[len(above) :]) or "z" for path in instances(pattern)}
    beneath = ["/".join([*above, tail]) for tail in tails]
    assert glob_reaches(pattern, folder) == any(glob_matches(pattern, path) for path in beneath)


def test_a_pattern_with_many_stars_is_matched_at_once() -> None:
    assert not glob_matches("*a" * 50, "a" * 5000 + "b")


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "a\0b", "a\nb", "**/a", "a**", "a?", "[a]", "{a,b}"]
)
def test_a_path_that_is_no_plain_relative_glob_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        reading(path)
    with pytest.raises(ValidationError):
        permissions(http=[{"origin": "https://a.example", "methods": ["GET"], "path": f"//{path}"}])


# Manifests


def test_the_manifest_of_the_design_parses() -> None:
    whole = permissions(
        files=[{"root": "hr", "path": "employees.json", "access": "read"}],
        http=[{"origin": "https://api.example.com", "methods": ["GET"], "path": "/v1/**", "secrets": ["API_KEY"]}],
        sql=[{"store": "hr", "tables": {"employees": ["select"]}}],
        call=["get_salary_details"],
        clock="recorded",
        random="seeded",
        env={"TZ": "UTC"},
    )
    assert whole.sentences() == [
        "read hr/employees.json",
        "GET https://api.example.com/v1/** with API_KEY",
        "sql on hr: select employees",
        "call get_salary_details",
        "read the real clock",
        "environment TZ='UTC'",
    ]
    assert whole.beyond(whole) == []


@pytest.mark.parametrize(
    "manifest",
    [
        {"file": []},
        {"files": {}},
        {"files": [{"root": "hr", "path": "a", "access": "read", "mode": 7}]},
        {"files": [{"root": "/etc", "path": "a", "access": "read"}]},
        {"files": [{"root": "hr", "path": "a", "access": "execute"}]},
        {"files": [{"root": "hr", "path": "a"}]},
        {"http": [{"origin": "https://user:pw@a.example", "methods": ["GET"]}]},
        {"http": [{"origin": "file:///etc", "methods": ["GET"]}]},
        {"http": [{"origin": "https://a.example/path", "methods": ["GET"]}]},
        {"http": [{"origin": "https://a.example", "methods": []}]},
        {"http": [{"origin": "https://a.example", "methods": ["get"]}]},
        {"http": [{"origin": "https://a.example", "methods": ["GET"], "path": "v1"}]},
        {"http": [{"origin": "https://a.example", "methods": ["GET"], "secrets": ["no name\n"]}]},
        {"sql": [{"store": "hr", "tables": {"t": ["drop"]}}]},
        {"sql": [{"store": "hr", "tables": {"t\nu": ["select"]}}]},
        {"call": ["../other"]},
        {"clock": "real"},
        {"clock": True},
        {"env": {"TZ": 1}},
        {"env": {"A=B": "x"}},
        [],
        None,
        "files",
    ],
)
def test_a_manifest_with_one_bad_value_is_void(manifest: Any) -> None:
    with pytest.raises(ValidationError):
        Permissions.model_validate(manifest)


@pytest.mark.parametrize(
    ("asks", "gives", "extra"),
    [
        (reading("a"), reading("*"), []),
        (reading("*"), reading("a"), ["read hr/*"]),
        (reading("a"), reading("a", "write"), []),
        (reading("a", "write"), reading("a"), ["write hr/a"]),
        (permissions(call=["a"]), permissions(call=["*"]), []),
        (permissions(call=["*"]), permissions(call=["a"]), ["call *"]),
        (
            permissions(clock="recorded", random="recorded"),
            Permissions(),
            ["read the real clock", "read real randomness"],
        ),
        (permissions(env={"TZ": "x\ny"}), permissions(env={"TZ": "x"}), ["environment TZ='x\\ny'"]),
    ],
)
def test_what_goes_beyond_is_said_in_words(asks: Permissions, gives: Permissions, extra: list[str]) -> None:
    assert asks.beyond(gives) == extra


def http(path: str, **keys: Any) -> Permissions:
    return permissions(http=[{"origin": "https://a.example", "methods": ["GET"], "path": path} | keys])


@pytest.mark.parametrize(
    ("asks", "gives"),
    [("/secret", "/"), ("/v1/*", "/v1"), ("/**", "/v1/**"), ("/v1/a/", "/v1/a"), ("/v1/a/b", "/v1/*")],
)
def test_a_url_path_gives_no_other(asks: str, gives: str) -> None:
    assert http(asks).beyond(http(gives)) == [f"GET https://a.example{asks}"]
    assert http(asks).beyond(http(asks)) == []
    assert http(asks).beyond(http("/**")) == []


def test_a_secret_and_a_method_are_asked_for_by_name() -> None:
    assert http("/a", secrets=["KEY"]).beyond(http("/a")) == ["GET https://a.example/a with KEY"]
    assert http("/a", methods=["POST"]).beyond(http("/a")) == ["POST https://a.example/a"]


@given(MANIFEST)
def test_a_manifest_is_within_itself_and_nothing_is_within_everything(manifest: Permissions) -> None:
    assert manifest.beyond(manifest) == []
    assert Permissions().beyond(manifest) == []


@given(MANIFEST, MANIFEST, MANIFEST)
def test_being_within_is_transitive(a: Permissions, b: Permissions, c: Permissions) -> None:
    if not a.beyond(b) and not b.beyond(c):
        assert a.beyond(c) == []


# Grants

ACCESS: tuple[Access, ...] = ("read", "write")
QUESTIONS = [(root, path, access) for root in ("hr", "logs") for path in PATHS[::7] for access in ACCESS]


@given(MANIFEST, MANIFEST)
def test_a_grant_allows_what_every_layer_allows(manifest: Permissions, policy: Permissions) -> None:
    one, other, both = Grant((manifest,)), Grant((policy,)), Grant((manifest,)).narrowed(policy)
    for root, path, access in QUESTIONS:
        wanted = one.allows_file(root, path, access) and other.allows_file(root, path, access)
        assert both.allows_file(root, path, access) == wanted
        if wanted:
            assert root in both.roots()
            folder = path.rpartition("/")[0]
            assert both.may_hold_files(root, folder, access)
    for id in ("a", "b", "c"):
        assert both.allows_call(id) == (one.allows_call(id) and other.allows_call(id))
    assert both.environ.items() <= one.environ.items() & other.environ.items()
    assert (both.clock == "recorded") == (manifest.clock == policy.clock == "recorded")
    assert (both.random == "recorded") == (manifest.random == policy.random == "recorded")


@given(MANIFEST, MANIFEST)
def test_what_is_within_a_policy_loses_nothing_to_it(manifest: Permissions, policy: Permissions) -> None:
    if not manifest.beyond(policy):
        one, both = Grant((manifest,)), Grant((manifest, policy))
        assert all(one.allows_file(*question) == both.allows_file(*question) for question in QUESTIONS)
        assert one.environ == both.environ
        assert (one.clock, one.random) == (both.clock, both.random)
        assert all(one.allows_call(id) == both.allows_call(id) for id in ("a", "b", "c"))


def test_a_grant_without_layers_or_with_an_empty_one_allows_nothing() -> None:
    for grant in (Grant(()), Grant((Permissions(),)), Grant((reading("**", "write"), Permissions()))):
        assert not grant.allows_file("hr", "a", "read")
        assert not grant.may_hold_files("hr", "", "read")
        assert not grant.allows_call("a")
        assert (grant.roots(), grant.environ, grant.clock, grant.random) == ((), {}, "fixed", "seeded")


def test_write_includes_read_and_read_does_not_include_write() -> None:
    assert Grant((reading("a", "write"),)).allows_file("hr", "a", "read")
    assert not Grant((reading("a"),)).allows_file("hr", "a", "write")
    assert not Grant((reading("a"),)).may_hold_files("hr", "", "write")


@pytest.mark.parametrize(
    ("origin", "canonical"),
    [
        ("https://A.example", "https://a.example"),
        ("HTTPS://a.example", "https://a.example"),
        ("https://a.example.", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("https://a.example:0443", "https://a.example"),
        ("https://a.example/", "https://a.example"),
        ("https://a.example?x", "https://a.example"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ("http://127.0.0.1.", "http://127.0.0.1"),
    ],
)
def test_an_origin_has_one_spelling_and_the_message_says_which(origin: str, canonical: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(canonical)):
        http("/a", origin=origin)
    assert http("/a", origin=canonical).http[0].origin == canonical


@pytest.mark.parametrize(
    "origin",
    """https://*.example https://0x7f.1 https://2130706433 https://u@a.example https://a:b:c https:// a.example
    https://[::1%25lo] https://a.example: https://a.example:99999 https://-a https://a.example\\b""".split(),
)
def test_an_origin_that_no_request_can_have_is_refused(origin: str) -> None:
    with pytest.raises(ValidationError):
        http("/a", origin=origin)


@pytest.mark.parametrize("path", ["/ä", "/a b", "/%c3%a4", "/%61", "/a%2fb", "/%2e%2e/b", "/..;/b", "/a//b", "/%"])
def test_a_url_path_is_written_as_it_is_sent(path: str) -> None:
    with pytest.raises(ValidationError):
        http(path)
    assert http("/%C3%A4/**").http[0].allows("https://a.example", "GET", "/%C3%A4/b")


@given(HTTP, HTTP, st.sampled_from(["GET", "POST"]), st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=3))
def test_what_a_narrower_http_permission_allows_the_wider_allows(
    wide: HttpPermission, narrow: HttpPermission, method: str, path: list[str]
) -> None:
    asked = (narrow.origin, method, "/" + "/".join(path))
    if wide.covers(narrow) and narrow.allows(*asked):
        assert wide.allows(*asked)
