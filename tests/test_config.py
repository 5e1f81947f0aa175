from __future__ import annotations

from pathlib import Path

import pytest

from metier.config import Settings, load_settings, root_paths, secret_readers
from metier.errors import UsageError

WHOLE = """
[roots]
hr = "data/hr"
logs = "/var/log"

[policy]
files = [{ root = "hr", path = "**", access = "write" }]
http = [{ origin = "https://api.example.com", methods = ["GET", "POST"], path = "/v1/**", secrets = ["API_KEY"] }]
sql = [{ store = "hr", tables = { employees = ["select"] } }]
call = ["*"]
clock = "recorded"
env = { TZ = "UTC" }

[policy.unasked]
files = [{ root = "hr", path = "public/**", access = "read" }]

[approval]
mode = "deny"

[model]
chat = "openai:gpt-5"
timeout_seconds = 10

[agent]
candidates = 8

[limits]
seconds = 1.5
fuel = 1_000
"""


def written(folder: Path, text: str | bytes) -> Path:
    (folder / "metier.toml").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return folder


def test_without_a_file_everything_is_the_default(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings == Settings() == load_settings(written(tmp_path, ""))
    assert settings.policy.sentences() == []
    assert settings.approval.mode == "ask"


def test_a_whole_file_loads(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, WHOLE))
    assert settings.policy.http[0].secrets == ("API_KEY",)
    assert settings.policy.sql[0].tables == {"employees": ("select",)}
    assert settings.policy.unasked.beyond(settings.policy) == []
    assert (settings.model.chat, settings.model.timeout_seconds) == ("openai:gpt-5", 10.0)
    assert (settings.limits.seconds, settings.limits.fuel) == (1.5, 1000)
    assert settings.limits.memory_bytes == Settings().limits.memory_bytes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("roots = ", "Invalid value"),
        ("roots = 1", "roots "),
        ("colour = 1", "colour is not a key that Metier knows"),
        ("[limits]\nfule = 1", "limits.fule is not a key"),
        ("[limits]\nfuel = 0", "limits.fuel "),
        ("[limits]\nseconds = inf", "limits.seconds "),
        ("[roots]\nHR = 'x'", "roots.HR"),
        ("[roots]\nhr = 5", "roots.hr "),
        ("[policy]\nfile = []", "policy.file is not a key"),
        ("[policy.unasked]\nunasked = {}", "policy.unasked.unasked is not a key"),
        ("[policy]\nfiles = [{ root = 'hr', path = '../x', access = 'read' }]", "policy.files.0.path "),
        ("[approval]\nmode = 'yes'", "approval.mode "),
        ("[agent]\nsteps = 0", "agent.steps "),
        ("[http]\nnetworks = ['10.0.0.1/8']", "http.networks.0 "),
        ("[http]\nnetworks = ['intranet']", "http.networks.0 "),
        ("[http]\nproxy = 'x'", "http.proxy is not a key"),
        ("[secrets]\nKEY = 'the value itself'", "secrets.KEY "),
        ("[secrets]\n'no name' = 'env:KEY'", "secrets.no name"),
        ("[model]\nretries = 1000", "model.retries "),
        ("a = 1\na = 2", "Cannot overwrite"),
        ("a=" + "[" * 100_000, "nested too deep"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_mistake_is_told_with_the_file_and_the_key(tmp_path: Path, text: str | bytes, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as told:
        load_settings(written(tmp_path, text))
    assert str(tmp_path / "metier.toml") in str(told.value)
    assert "\n" not in str(told.value)
    assert told.value.exit_status == 2


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "metier.toml").mkdir()
    with pytest.raises(UsageError, match=r"metier\.toml"):
        load_settings(tmp_path)


def test_roots_are_absolute_and_relative_ones_lie_beneath_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(written(tmp_path, WHOLE))
    assert root_paths(tmp_path, settings) == {"hr": tmp_path / "data" / "hr", "logs": Path("/var/log")}
    monkeypatch.chdir(tmp_path.parent)
    assert root_paths(Path(tmp_path.name), settings)["hr"] == tmp_path / "data" / "hr"


def test_secrets_are_read_when_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(written(tmp_path, "[secrets]\nA = 'env:TOKEN_OF_A'\nB = 'file:keys/b'"))
    readers = secret_readers(tmp_path, settings)
    assert (readers["A"](), readers["B"]()) == (None, None)
    monkeypatch.setenv("TOKEN_OF_A", "first")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/b").write_text("second\n", encoding="utf-8")
    assert (readers["A"](), readers["B"]()) == ("first", "second")
