"""The virtual filesystem: what a grant names is there, nothing else is, and only a commit changes the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metier.permissions import Access, Grant, Permissions
from metier.sandbox.files import Change, FileError, FileSystem, HostFiles, Stat, Unkeepable, commit
from metier.sandbox.limits import Limits


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    root = tmp_path / "hr"
    (root / "reviews").mkdir(parents=True)
    (root / "employees.json").write_text("[1]", encoding="utf-8")
    (root / "secret.txt").write_text("secret", encoding="utf-8")
    (root / "reviews" / "2025.json").write_text("[]", encoding="utf-8")
    return root


def grant(*paths: str, access: Access = "read") -> Grant:
    return Grant((Permissions.model_validate({"files": [{"root": "hr", "path": p, "access": access} for p in paths]}),))


def system(root: Path, allowed: Grant, limits: Limits | None = None) -> FileSystem:
    return FileSystem(HostFiles({"hr": root}, 1000), allowed, limits or Limits())


def problem_of(call: object, *arguments: object) -> str:
    with pytest.raises(FileError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.problem


def test_granted_files_are_read(hr: Path) -> None:
    assert system(hr, grant("employees.json")).open("/hr/employees.json").data == b"[1]"


def test_what_is_not_granted_does_not_exist(hr: Path) -> None:
    files = system(hr, grant("*.json"))
    assert problem_of(files.open, "/hr/secret.txt") == "not_found"
    assert files.names("/hr") == ["employees.json"]
    assert files.names("/") == ["hr"]
    assert problem_of(files.stat, "/etc") == "not_found"


def test_listings_are_sorted_and_show_folders_that_may_hold_something(hr: Path) -> None:
    assert system(hr, grant("**")).names("/hr") == ["employees.json", "reviews", "secret.txt"]
    assert system(hr, grant("reviews/*.json")).names("/hr") == ["reviews"]


def test_every_layer_of_a_grant_must_allow(hr: Path) -> None:
    files = system(hr, grant("**").narrowed(grant("employees.json").layers[0]))
    assert files.names("/hr") == ["employees.json"]


@pytest.mark.parametrize("kind", ["symlink", "folder symlink", "hard link", "fifo"])
def test_links_and_special_files_are_not_served(hr: Path, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("outside", encoding="utf-8")
    name = "x"
    if kind == "symlink":
        (hr / "x").symlink_to(outside / "x")
    elif kind == "folder symlink":
        (hr / "folder").symlink_to(outside)
        name = "folder/x"
    elif kind == "hard link":
        os.link(outside / "x", hr / "x")
    else:
        os.mkfifo(hr / "x")
    assert problem_of(system(hr, grant("**")).open, f"/hr/{name}") == "not_found"


def test_a_run_sees_one_state_of_a_file(hr: Path) -> None:
    files = system(hr, grant("**"))
    assert files.open("/hr/employees.json").data == b"[1]"
    (hr / "employees.json").write_text("[2]", encoding="utf-8")
    assert files.open("/hr/employees.json").data == b"[1]"


def test_writes_stay_in_the_overlay_until_they_are_committed(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.write(files.create("/hr/new.json"), 0, b"{}")
    node = files.open("/hr/employees.json")
    files.resize(node, 0)
    files.write(node, 0, b"[3]")
    files.remove("/hr/secret.txt")
    assert files.names("/hr") == ["employees.json", "new.json", "reviews"]
    assert sorted(p.name for p in hr.iterdir()) == ["employees.json", "reviews", "secret.txt"]
    commit({"hr": hr}, files.changes())
    assert (hr / "employees.json").read_text(encoding="utf-8") == "[3]"
    assert sorted(p.name for p in hr.iterdir()) == ["employees.json", "new.json", "reviews"]


def test_reading_does_not_count_as_a_change(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.open("/hr/employees.json")
    assert files.changes() == []


def test_folders_are_made_and_removed(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.make_directory("/hr/a")
    files.write(files.create("/hr/a/b.txt"), 0, b"b")
    assert problem_of(files.remove_directory, "/hr/a") == "not_empty"
    assert problem_of(files.make_directory, "/hr/a") == "exists"
    commit({"hr": hr}, files.changes())
    assert (hr / "a" / "b.txt").read_bytes() == b"b"


def test_a_reader_cannot_write(hr: Path) -> None:
    files = system(hr, grant("**"))
    for call in (files.create, files.remove, files.make_directory):
        assert problem_of(call, "/hr/other") == "denied"
    assert problem_of(files.rename, "/hr/employees.json", "/hr/other") == "denied"


def test_writing_outside_the_granted_names_is_denied(hr: Path) -> None:
    files = system(hr, grant("*.json", access="write"))
    assert problem_of(files.create, "/hr/x.txt") == "denied"
    assert problem_of(files.create, "/other/x.json") == "denied"
    assert problem_of(files.rename, "/hr/employees.json", "/hr/x.txt") == "denied"


def test_a_rename_moves_the_content(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.rename("/hr/employees.json", "/hr/people.json")
    assert not files.exists("/hr/employees.json")
    commit({"hr": hr}, files.changes())
    assert (hr / "people.json").read_text(encoding="utf-8") == "[1]"
    assert not (hr / "employees.json").exists()


def test_a_gap_is_filled_with_zeros(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    node = files.create("/hr/x")
    files.write(node, 3, b"x")
    assert node.data == b"\0\0\0x"


def test_the_overlay_and_each_file_are_bounded(hr: Path) -> None:
    files = system(hr, grant("**", access="write"), Limits(effect_bytes=100, overlay_bytes=150))
    assert problem_of(files.write, files.create("/hr/x"), 0, bytes(101)) == "no_space"
    files.write(files.create("/hr/y"), 0, bytes(100))
    assert problem_of(files.write, files.create("/hr/z"), 0, bytes(60)) == "no_space"


def test_fixtures_stand_in_for_live_files_and_are_no_changes(hr: Path) -> None:
    files = FileSystem(
        HostFiles({"hr": hr}, 1000), grant("**"), Limits(), {"/hr/employees.json": b"[9]", "/hr/deep/x.json": b"{}"}
    )
    assert files.open("/hr/employees.json").data == b"[9]"
    assert files.names("/hr") == ["deep", "employees.json", "reviews", "secret.txt"]
    assert files.changes() == []


def test_a_commit_that_cannot_stage_everything_changes_nothing(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.write(files.create("/hr/a.json"), 0, b"a")
    files.write(files.create("/hr/reviews/b.json"), 0, b"b")
    (hr / "reviews" / "2025.json").unlink()
    (hr / "reviews").rmdir()
    before = sorted(p.name for p in hr.iterdir())
    with pytest.raises(OSError):
        commit({"hr": hr}, files.changes())
    assert sorted(p.name for p in hr.iterdir()) == before


def test_a_commit_keeps_a_files_mode(hr: Path) -> None:
    (hr / "employees.json").chmod(0o600)
    files = system(hr, grant("**", access="write"))
    files.write(files.open("/hr/employees.json"), 0, b"[4]")
    commit({"hr": hr}, files.changes())
    assert (hr / "employees.json").stat().st_mode & 0o777 == 0o600


# Links, directories and what becomes of them


def linked(files: FileSystem, source: str, to: str) -> None:
    """Gives a file a second name, as a program does."""
    base = files.overlay.roots["hr"]
    files.overlay.link(files.overlay.walk(base, source, follow=False), files.overlay.walk(base, to, follow=False))


def symlinked(files: FileSystem, target: str, path: str) -> None:
    files.overlay.symlink(files.overlay.walk(files.overlay.roots["hr"], path, follow=False), target)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file's content by path; None for a folder."""
    return {str(p.relative_to(folder)): None if p.is_dir() else p.read_bytes() for p in sorted(folder.rglob("*"))}


def test_a_file_with_two_names_is_committed_as_two_files(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    linked(files, "employees.json", "reviews/same.json")
    files.write(files.open("/hr/reviews/same.json"), 0, b"[7]")
    commit({"hr": hr}, files.changes())
    for path in (hr / "employees.json", hr / "reviews" / "same.json"):
        assert path.read_bytes() == b"[7]"
        assert path.stat().st_nlink == 1


def test_a_symbolic_link_is_followed_by_paths_and_cannot_be_kept(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    symlinked(files, "reviews/2025.json", "latest")
    symlinked(files, "nowhere", "dangling")
    assert files.open("/hr/latest").data == b"[]"
    assert files.stat("/hr/latest") == Stat("file", 2)
    assert "latest" in files.names("/hr")
    assert not files.exists("/hr/dangling")
    before = tree(hr)
    with pytest.raises(Unkeepable, match=r"/hr/(latest|dangling) is a symbolic link"):
        files.changes()
    assert issubclass(Unkeepable, OSError)
    assert tree(hr) == before
    files.remove("/hr/latest")
    files.remove("/hr/dangling")
    assert files.changes() == []


def test_a_directory_is_moved_with_what_is_in_it(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.rename("/hr/reviews", "/hr/archive")
    assert files.open("/hr/archive/2025.json").data == b"[]"
    assert not files.exists("/hr/reviews/2025.json")
    commit({"hr": hr}, files.changes())
    assert tree(hr) == {"archive": None, "archive/2025.json": b"[]", "employees.json": b"[1]", "secret.txt": b"secret"}


def test_moving_a_directory_needs_the_permission_for_every_name_in_it(hr: Path) -> None:
    files = system(hr, grant("reviews/**", "archive/*.md", access="write"))
    assert problem_of(files.rename, "/hr/reviews", "/hr/archive") == "denied"
    assert files.changes() == []
    inside = system(hr, grant("reviews/*.json", "archive/**", access="write"))
    assert problem_of(inside.rename, "/hr/reviews", "/hr/archive") == "denied"
    narrow = system(hr, grant("*", "reviews/*.json", "archive/**", access="write"))
    (hr / "reviews" / "hidden.md").write_text("hidden", encoding="utf-8")
    narrow.rename("/hr/reviews", "/hr/archive")
    assert narrow.names("/hr/archive") == ["2025.json"]
    commit({"hr": hr}, narrow.changes())
    assert (hr / "reviews" / "hidden.md").read_text(encoding="utf-8") == "hidden"
    assert not (hr / "reviews" / "2025.json").exists()


def test_a_directory_goes_only_where_a_permission_names_it_or_the_run_made_it(hr: Path) -> None:
    (hr / "out" / "deep").mkdir(parents=True)
    above = system(hr, grant("out/*.txt", "made/*.txt", access="write"))
    assert problem_of(above.remove_directory, "/hr/out") == "denied"
    above.make_directory("/hr/made")
    above.remove_directory("/hr/made")
    assert above.changes() == []
    within = system(hr, grant("out/**", access="write"))
    within.remove_directory("/hr/out/deep")
    assert problem_of(within.remove_directory, "/hr/out") == "denied"
    assert within.changes() == [Change("hr", "out/deep", None, directory=True, removed=True)]


def test_a_removed_directory_goes_unless_something_unseen_is_in_it(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.remove("/hr/reviews/2025.json")
    files.remove_directory("/hr/reviews")
    changes = files.changes()
    assert changes == [
        Change("hr", "reviews/2025.json", None, removed=True),
        Change("hr", "reviews", None, directory=True, removed=True),
    ]
    (hr / "reviews" / "late.json").write_text("late", encoding="utf-8")
    commit({"hr": hr}, changes)
    assert (hr / "reviews" / "late.json").exists()
    (hr / "reviews" / "late.json").unlink()
    commit({"hr": hr}, changes)
    assert not (hr / "reviews").exists()


def test_a_directory_that_is_removed_and_made_again_is_empty(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.remove("/hr/reviews/2025.json")
    files.remove_directory("/hr/reviews")
    files.make_directory("/hr/reviews")
    assert files.names("/hr/reviews") == []
    commit({"hr": hr}, files.changes())
    assert list((hr / "reviews").iterdir()) == []


def test_a_file_does_not_become_a_directory_in_one_run(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.remove("/hr/secret.txt")
    files.make_directory("/hr/secret.txt")
    with pytest.raises(Unkeepable, match="was a file and is a directory now"):
        files.changes()


def test_a_name_as_long_as_names_may_be_is_committed(hr: Path) -> None:
    files = system(hr, grant("**", access="write"))
    files.write(files.create(f"/hr/{'n' * 255}"), 0, b"long")
    commit({"hr": hr}, files.changes())
    assert (hr / ("n" * 255)).read_bytes() == b"long"


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_a_commit_stages_nothing_where_something_is_already(hr: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "outside").write_text("outside", encoding="utf-8")
    staging = hr / ".metier-0123456789abcdef-0"
    if kind == "file":
        staging.write_text("outside", encoding="utf-8")
    else:
        staging.symlink_to(tmp_path / "outside")
    with pytest.raises(FileExistsError):
        commit({"hr": hr}, [Change("hr", "employees.json", b"[2]")], token="0123456789abcdef")
    assert (hr / "employees.json").read_bytes() == b"[1]"
    assert staging.read_text(encoding="utf-8") == "outside"
    assert (tmp_path / "outside").read_text(encoding="utf-8") == "outside"


@pytest.mark.parametrize("kind", ["symlink", "hard link", "folder"])
def test_a_commit_does_not_replace_what_the_run_could_not_see(hr: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "outside").write_text("outside", encoding="utf-8")
    files = system(hr, grant("*", access="write"))
    files.write(files.create("/hr/a.json"), 0, b"a")
    files.write(files.create("/hr/x"), 0, b"x")
    if kind == "symlink":
        (hr / "x").symlink_to(tmp_path / "outside")
    elif kind == "hard link":
        os.link(tmp_path / "outside", hr / "x")
    else:
        (hr / "x").mkdir()
    with pytest.raises(OSError, match="in the way"):
        commit({"hr": hr}, files.changes())
    assert (tmp_path / "outside").read_text(encoding="utf-8") == "outside"
    assert not (hr / "a.json").exists()


def test_names_that_the_grant_does_not_give_are_not_even_asked_for(hr: Path) -> None:
    class Counting(HostFiles):
        asked: list[str] = []  # noqa: RUF012

        def stat(self, root: str, path: str) -> Stat | None:
            self.asked.append(path)
            return super().stat(root, path)

    files = FileSystem(Counting({"hr": hr}, 1000), grant("*.json"), Limits())
    assert not files.exists("/hr/secret.txt")
    assert files.open("/hr/employees.json").data == b"[1]"
    assert not files.exists("/hr/none.json")
    assert not files.exists("/hr/none.json")
    assert Counting.asked == ["employees.json", "none.json"]


def test_a_root_that_is_not_there_is_empty(hr: Path) -> None:
    files = FileSystem(HostFiles({}, 1000), grant("**", access="write"), Limits())
    assert files.names("/hr") == []
    assert not files.exists("/hr/x")


def test_a_folder_with_too_many_names_is_not_listed(hr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metier.sandbox.hostfiles.MAX_NAMES", 2)
    assert system(hr, grant("**")).names("/hr/reviews") == ["2025.json"]
    assert problem_of(system(hr, grant("**")).names, "/hr") == "too_many"
    assert system(hr, grant("**")).open("/hr/employees.json").data == b"[1]"


def test_names_that_no_program_can_say_are_left_out(hr: Path) -> None:
    (hr / os.fsdecode(b"\xff.json")).write_text("x", encoding="utf-8")
    assert system(hr, grant("*.json")).names("/hr") == ["employees.json"]
    assert problem_of(system(hr, grant("**", access="write")).create, "/hr/\ud800") == "invalid"


def test_host_files_read_by_one_run_are_bounded_together(hr: Path) -> None:
    files = system(hr, grant("**"), Limits(read_bytes=4))
    files.open("/hr/employees.json")
    assert problem_of(files.open, "/hr/reviews/2025.json") == "no_space"
