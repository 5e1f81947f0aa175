"""How paths lead to files, links and directories, and never out of the directory that they start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sandbox.guest import ALL, CREAT, DIRECTORY, EXCL, OTHER, READ, RESULT, TEXT, TRUNC, WRITE, Guest, guest

ACCES, EXIST, ILSEQ, INVAL, ISDIR, LOOP, NAMETOOLONG, NOENT, NOTDIR = 2, 20, 25, 28, 31, 32, 37, 44, 54
NOTEMPTY, PERM, XDEV, NOTCAPABLE = 55, 63, 75, 76
SYMBOLIC_LINK, REGULAR_FILE, FOLDER = 7, 4, 3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "hr"
    (root / "folder" / "inner").mkdir(parents=True)
    (root / "a.txt").write_text("hello", encoding="utf-8")
    (root / "folder" / "b.txt").write_text("b", encoding="utf-8")
    return root


@pytest.fixture
def g(root: Path) -> Guest:
    return guest(root)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("folder/.//inner/../../folder/b.txt", 0),
        ("folder///", 0),
        (".", 0),
        ("folder/..", 0),
        ("..", PERM),
        ("folder/../..", PERM),
        ("folder/../../hr/a.txt", PERM),
        ("/a.txt", PERM),
        ("a.txt/", NOTDIR),
        ("a.txt/.", NOTDIR),
        ("a.txt/..", NOTDIR),
        ("none/..", NOENT),
        ("", NOENT),
        (b"a.txt\0", INVAL),
        (b"\xff", ILSEQ),
        ("x" * 256, NAMETOOLONG),
        ("é" * 128, NAMETOOLONG),
        ("./" * 2049, NAMETOOLONG),
    ],
)
def test_paths_are_walked_segment_by_segment(g: Guest, path: str | bytes, error: int) -> None:
    assert g.try_open(path) == error


def test_a_directory_that_is_open_cannot_be_left(g: Guest) -> None:
    fd = g.open("folder")
    assert g.try_open("b.txt", fd=fd) == 0
    assert g.try_open("../a.txt", fd=fd) == PERM
    assert g.symlink("../a.txt", "up", fd) == 0
    assert g.try_open("up", fd=fd) == PERM
    assert g.read(g.open("folder/up")) == b"hello"


@pytest.mark.parametrize(
    ("path", "oflags", "rights", "error"),
    [
        ("a.txt", CREAT | EXCL, READ, EXIST),
        ("folder", CREAT | EXCL, READ, EXIST),
        ("a.txt", DIRECTORY, READ, NOTDIR),
        ("folder", DIRECTORY, READ | WRITE, ISDIR),
        ("folder", TRUNC, READ, ISDIR),
        ("folder", CREAT, READ, ISDIR),
        ("new", CREAT | DIRECTORY, READ, INVAL),
        ("new/", CREAT, READ, ISDIR),
        ("none/new", CREAT, READ, NOENT),
        ("none", DIRECTORY, READ, NOENT),
        ("a.txt", 16, READ, INVAL),
    ],
)
def test_what_cannot_be_opened_says_why(g: Guest, path: str, oflags: int, rights: int, error: int) -> None:
    assert g.try_open(path, oflags, rights=rights) == error


def test_unknown_flags_are_invalid(g: Guest) -> None:
    assert g.call("path_open", 3, 2, *g.text("a.txt"), 0, 0, 0, 0, RESULT) == INVAL
    assert g.try_open("a.txt", flags=32) == INVAL


def test_paths_start_from_directories(g: Guest) -> None:
    assert g.try_open("x", fd=g.open("a.txt")) == NOTDIR
    assert g.try_open("x", fd=1) == NOTDIR


def test_truncating_needs_the_right_of_the_directory_and_the_permission(root: Path) -> None:
    g = guest(root)
    fd = g.open(".", rights=ALL & ~WRITE & ~(1 << 19))
    assert g.try_open("a.txt", TRUNC, rights=0, fd=fd) == NOTCAPABLE
    assert g.try_open("a.txt", TRUNC, rights=0) == 0
    assert g.stat("a.txt")["size"] == 0  # type: ignore[index]
    assert guest(root, ("**", "read")).try_open("a.txt", TRUNC, rights=0) == ACCES


def test_an_opening_that_fails_creates_nothing(g: Guest) -> None:
    fd = g.open(".", inheriting=READ)
    assert g.try_open("new", CREAT, rights=READ | WRITE, fd=fd) == NOTCAPABLE
    assert g.stat("new") == NOENT


# Symbolic links


def test_a_symbolic_link_is_followed_when_asked(g: Guest) -> None:
    assert g.symlink("folder/b.txt", "link") == 0
    assert g.read(g.open("link")) == b"b"
    assert g.try_open("link", follow=False) == LOOP
    assert g.try_open("link", DIRECTORY, follow=True) == NOTDIR
    assert g.stat("link", follow=False)["type"] == SYMBOLIC_LINK  # type: ignore[index]
    assert g.stat("link", follow=False)["size"] == len("folder/b.txt")  # type: ignore[index]
    assert g.stat("link")["type"] == REGULAR_FILE  # type: ignore[index]
    assert [e.kind for e in g.readdir(3) if e.name == "link"] == [SYMBOLIC_LINK]


def test_a_link_on_the_way_is_always_followed(g: Guest) -> None:
    assert g.symlink("./folder/", "way") == 0
    assert g.read(g.open("way/b.txt", follow=False)) == b"b"
    assert g.stat("way/../a.txt")["size"] == 5  # type: ignore[index]
    assert g.try_open("way", DIRECTORY) == 0


def test_a_link_is_looked_up_from_its_own_directory(g: Guest) -> None:
    assert g.symlink("../a.txt", "folder/inner/wrong") == g.symlink("../../a.txt", "folder/inner/right") == 0
    assert g.try_open("folder/inner/wrong") == NOENT
    assert g.read(g.open("folder/inner/right")) == b"hello"


def test_links_do_not_lead_out_of_the_root(g: Guest) -> None:
    assert g.symlink("/etc/passwd", "x") == PERM
    assert g.symlink("..", "up") == g.symlink("../hr/a.txt", "around") == g.symlink("up/hr", "again") == 0
    assert [g.try_open(path) for path in ("up", "up/hr/a.txt", "around", "again")] == [PERM] * 4


def test_links_in_a_circle_are_noticed(g: Guest) -> None:
    assert g.symlink("self", "self") == g.symlink("two", "one") == g.symlink("one/x", "two") == 0
    assert [g.try_open(path) for path in ("self", "one", "two", "self/x")] == [LOOP] * 4
    assert g.try_open("self", follow=False) == LOOP
    assert g.symlink("folder/inner/../inner/../b.txt", "deep") == 0
    assert g.try_open("deep") == 0


def test_a_chain_of_links_has_an_end(g: Guest) -> None:
    assert g.symlink("a.txt", "l0") == 0
    for i in range(1, 45):
        assert g.symlink(f"l{i - 1}", f"l{i}") == 0
    assert (g.try_open("l39"), g.try_open("l40")) == (0, LOOP)


def test_a_link_to_nothing_is_created_through_and_not_over(g: Guest) -> None:
    assert g.symlink("target", "link") == 0
    assert g.try_open("link") == g.stat("link") == NOENT
    assert g.try_open("link", CREAT, follow=False) == LOOP
    assert g.try_open("link", CREAT | EXCL) == 0
    assert g.stat("target")["type"] == REGULAR_FILE  # type: ignore[index]
    assert g.try_open("link", CREAT | EXCL, follow=False) == EXIST


def test_a_link_is_made_only_where_nothing_is(g: Guest) -> None:
    assert g.symlink("x", "a.txt") == g.symlink("x", "folder") == g.symlink("x", "folder/") == EXIST
    assert g.symlink("x", "new/") == g.symlink("", "new") == NOENT
    assert g.symlink("x", "a.txt/") == NOTDIR


def test_a_link_is_read_as_far_as_there_is_room(g: Guest) -> None:
    assert g.symlink("target", "link") == 0
    for room, text in ((10, b"target"), (4, b"targ"), (0, b"")):
        assert g.path("readlink", "link", OTHER, room, RESULT) == 0
        assert g.memory.read(OTHER, g.u32()) == text
    assert g.path("readlink", "a.txt", OTHER, 9, RESULT) == INVAL
    assert g.path("readlink", "none", OTHER, 9, RESULT) == NOENT


def test_removing_a_link_leaves_what_it_leads_to(g: Guest) -> None:
    assert g.symlink("folder", "link") == 0
    assert g.path("remove_directory", "link") == g.path("remove_directory", "link/") == NOTDIR
    assert g.path("unlink_file", "link/") == NOTDIR
    assert g.path("unlink_file", "link") == 0
    assert g.stat("folder/b.txt")["size"] == 1  # type: ignore[index]


def test_times_are_set_on_the_link_or_on_what_it_leads_to(g: Guest) -> None:
    assert g.symlink("a.txt", "link") == 0
    for follow, name in ((0, "link"), (1, "a.txt")):
        assert g.call("path_filestat_set_times", 3, follow, *g.text("link"), 0, 77 + follow, 4) == 0
        assert g.stat(name, follow=False)["mtim"] == 77 + follow  # type: ignore[index]


def test_a_link_needs_the_permission_at_both_ends(root: Path) -> None:
    g = guest(root, ("folder/**", "write"), ("a.txt", "read"))
    assert g.symlink("x", "link") == ACCES
    assert g.symlink("../a.txt", "folder/link") == g.symlink("../c.txt", "folder/hidden") == 0
    assert g.read(g.open("folder/link")) == b"hello"
    assert g.try_open("folder/link", rights=WRITE) == ACCES
    assert g.try_open("folder/hidden") == NOENT
    assert g.try_open("folder/hidden", CREAT, rights=WRITE) == ACCES


# Hard links


def test_a_file_may_have_two_names(g: Guest) -> None:
    assert g.two("link", "a.txt", "folder/same", flags=0) == 0
    assert g.stat("a.txt") == g.stat("folder/same")
    assert g.stat("a.txt")["nlink"] == 2  # type: ignore[index]
    assert g.write(g.open("folder/same", rights=ALL), b"J") == 0
    assert g.read(g.open("a.txt")) == b"Jello"
    assert g.path("unlink_file", "a.txt") == 0
    assert g.stat("folder/same")["nlink"] == 1  # type: ignore[index]


def test_a_hard_link_is_to_a_file_or_a_link_and_nothing_is_followed(g: Guest) -> None:
    assert g.symlink("none", "dangling") == 0
    assert g.two("link", "dangling", "same", flags=0) == 0
    assert g.stat("same", follow=False)["type"] == SYMBOLIC_LINK  # type: ignore[index]
    assert g.two("link", "a.txt", "other", flags=1) == INVAL
    assert g.two("link", "folder", "other", flags=0) == ACCES
    assert g.two("link", "none", "other", flags=0) == g.two("link", "a.txt", "other/", flags=0) == NOENT
    assert g.two("link", "a.txt", "a.txt", flags=0) == g.two("link", "a.txt", "folder", flags=0) == EXIST


def test_a_file_that_may_only_be_read_gets_no_second_name(root: Path) -> None:
    g = guest(root, ("folder/**", "write"), ("a.txt", "read"))
    assert g.two("link", "a.txt", "folder/mine", flags=0) == ACCES
    assert g.two("rename", "a.txt", "folder/mine") == ACCES


# Directories and names


def test_directories_are_made_and_removed_with_or_without_slashes(g: Guest) -> None:
    assert g.path("create_directory", "new/") == g.path("create_directory", "new/inner") == 0
    assert g.path("create_directory", "new") == g.path("create_directory", "a.txt") == EXIST
    assert g.path("remove_directory", "new") == NOTEMPTY
    assert g.path("remove_directory", "new/inner/") == g.path("remove_directory", "new") == 0
    assert g.path("remove_directory", "a.txt") == g.path("remove_directory", "a.txt/") == NOTDIR
    assert g.path("remove_directory", ".") == INVAL
    assert g.path("remove_directory", "new") == NOENT


def test_unlinking_is_for_files(g: Guest) -> None:
    assert g.path("unlink_file", "folder") == g.path("unlink_file", "folder/") == g.path("unlink_file", ".") == ISDIR
    assert g.path("unlink_file", "a.txt/") == NOTDIR
    assert g.path("unlink_file", "none") == NOENT


def test_a_directory_moves_with_all_that_is_in_it(g: Guest) -> None:
    fd = g.open("folder")
    assert g.two("rename", "folder/", "moved/") == 0
    assert g.stat("folder") == NOENT
    assert g.read(g.open("moved/b.txt")) == b"b"
    assert g.stat("moved/inner")["type"] == FOLDER  # type: ignore[index]
    g.create("folder", b"a file now")
    assert g.read(g.open("b.txt", fd=fd)) == b"b"
    assert [e.name for e in g.readdir(fd)] == [".", "..", "b.txt", "inner"]


def test_renaming_replaces_what_is_of_its_kind(g: Guest) -> None:
    g.create("other", b"other")
    assert g.path("create_directory", "empty") == 0
    assert g.two("rename", "folder", "a.txt") == NOTDIR
    assert g.two("rename", "a.txt", "empty") == ISDIR
    assert g.two("rename", "empty", "folder") == NOTEMPTY
    assert g.two("rename", "a.txt", "new/") == NOTDIR
    assert g.two("rename", "folder", "folder/inner/deeper") == INVAL
    assert g.two("rename", ".", "x") == g.two("rename", "folder", "empty/..") == INVAL
    assert g.two("rename", "none", "x") == NOENT
    assert g.two("rename", "folder", "empty") == g.two("rename", "other", "a.txt") == 0
    assert g.read(g.open("a.txt")) == b"other"
    assert [e.name for e in g.readdir(3)] == [".", "..", "a.txt", "empty"]


def test_renaming_changes_no_times(g: Guest) -> None:
    before = g.stat("a.txt")
    assert g.symlink("x", "link") == g.two("rename", "a.txt", "b.txt") == g.two("rename", "link", "moved") == 0
    assert g.stat("b.txt") == before


def test_renaming_to_the_same_file_does_nothing(g: Guest) -> None:
    assert g.two("link", "a.txt", "same", flags=0) == 0
    assert g.two("rename", "a.txt", "a.txt") == g.two("rename", "a.txt", "same") == 0
    assert g.stat("a.txt")["nlink"] == 2  # type: ignore[index]


def test_a_directory_of_thousands_is_left_to_the_program_to_copy(g: Guest) -> None:
    assert g.path("create_directory", "big") == 0
    fd = g.open("big")
    for i in range(4096):
        assert g.path("create_directory", f"{i}", fd=fd) == 0
    assert g.two("rename", "big", "bigger") == XDEV
    assert g.path("remove_directory", "0", fd=fd) == g.two("rename", "big", "bigger") == 0


def test_nothing_is_made_in_a_directory_that_was_removed(g: Guest) -> None:
    assert g.path("create_directory", "new") == 0
    fd = g.open("new")
    assert g.path("remove_directory", "new") == 0
    assert g.try_open("x", CREAT, rights=ALL, fd=fd) == g.path("create_directory", "x", fd=fd) == NOENT
    assert [e.name for e in g.readdir(fd)] == [".", ".."]
    assert g.fstat(fd)["nlink"] == 0  # type: ignore[index]
    assert g.path("create_directory", "new") == 0
    assert g.try_open("x", fd=fd) == NOENT


def test_a_removed_host_directory_shows_nothing_of_the_host_any_more(root: Path) -> None:
    g = guest(root, ("folder", "write"), ("folder/*.md", "write"))
    fd = g.open("folder")
    assert g.path("remove_directory", "folder") == 0
    (root / "folder" / "late.md").write_text("late", encoding="utf-8")
    assert g.try_open("late.md", fd=fd) == NOENT


def test_every_path_call_needs_its_right(g: Guest) -> None:
    fd = g.open(".", rights=0)
    calls = [g.path(name, "x", fd=fd) for name in ("create_directory", "remove_directory", "unlink_file")]
    calls += [g.path("readlink", "x", OTHER, 9, RESULT, fd=fd), g.symlink("x", "y", fd), g.stat("x", fd=fd)]
    calls += [g.two("rename", "x", "y", fd=fd), g.two("rename", "a.txt", "y", to_fd=fd)]
    calls += [g.two("link", "x", "y", fd=fd, flags=0), g.two("link", "a.txt", "y", to_fd=fd, flags=0)]
    calls += [g.try_open("a.txt", fd=fd), g.call("path_filestat_set_times", fd, 0, TEXT, 1, 0, 0, 0)]
    assert calls == [NOTCAPABLE] * len(calls)
