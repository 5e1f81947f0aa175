"""What programs do with open files, directories and streams."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from metier.sandbox.limits import Limits
from metier.sandbox.wasi import LimitReached
from tests.sandbox.guest import ALL, APPEND, BUFFER, CREAT, READ, RESULT, VECTORS, WRITE, Guest, guest

BADF, FAULT, INVAL, ISDIR, MFILE, NAMETOOLONG, NOSPC, NOTDIR, SPIPE, NOTCAPABLE, NOTSOCK = (
    8,
    21,
    28,
    31,
    33,
    37,
    51,
    54,
    70,
    76,
    57,
)
SEEK, TELL, ALLOCATE, READDIR = 1 << 2, 1 << 5, 1 << 8, 1 << 14


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").write_text("hello", encoding="utf-8")
    return tmp_path


@pytest.fixture
def g(root: Path) -> Guest:
    return guest(root, stdin=b"input")


def test_streams_are_no_terminals_and_may_only_be_read_or_written(g: Guest) -> None:
    assert [g.fdstat(fd)[0] for fd in (0, 1, 2)] == [0, 0, 0]
    assert [g.fdstat(fd)[2] & (READ | WRITE) for fd in (0, 1, 2)] == [READ, WRITE, WRITE]
    assert g.seek(0, 0) == g.call("fd_tell", 1, RESULT) == SPIPE
    assert g.write(0, b"x") == BADF
    assert g.call("fd_filestat_set_times", 1, 0, 0, 0) == NOTCAPABLE


def test_stdin_is_read_once(g: Guest) -> None:
    assert g.read(0, 2) == b"in"
    assert g.read(0) == b"put"
    assert g.read(0) == b""


def test_a_write_of_many_vectors_arrives_in_order(g: Guest) -> None:
    g.memory.write(BUFFER, b"abc")
    g.memory.write(VECTORS, struct.pack("<6I", BUFFER + 2, 1, BUFFER, 0, BUFFER, 2))
    assert g.call("fd_write", 1, VECTORS, 3, RESULT) == 0
    assert (g.u32(), bytes(g.process.stdout)) == (3, b"cab")


def test_vectors_that_repeat_one_buffer_a_thousand_times_are_cut_off_at_the_limit(root: Path) -> None:
    g = guest(root, limits=Limits(stdout_bytes=1000, stderr_bytes=1000, effect_bytes=1000))
    g.memory.write(VECTORS, struct.pack("<II", 0, 60_000) * 500)
    with pytest.raises(LimitReached):
        g.call("fd_write", 1, VECTORS, 500, RESULT)
    assert g.call("fd_write", g.open("new", CREAT, rights=ALL), VECTORS, 500, RESULT) == NOSPC
    assert g.call("fd_write", 1, VECTORS, 1025, RESULT) == INVAL


def test_memory_that_the_program_does_not_have_is_a_fault(g: Guest) -> None:
    assert g.call("fd_write", 1, 2**32 - 8, 1, RESULT) == FAULT
    assert g.call("fd_fdstat_get", 1, 65_530) == FAULT


def test_a_file_is_read_written_and_sought(g: Guest) -> None:
    fd = g.open("a.txt", rights=ALL)
    assert g.read(fd) == b"hello"
    assert g.seek(fd, -2, 1) == 0 and g.u64() == 3
    assert g.write(fd, b"p!") == 0
    assert g.seek(fd, 0, 2) == 0 and g.u64() == 5
    assert g.seek(fd, -6, 2) == g.seek(fd, 0, 3) == g.seek(fd, 2**63, 0) == INVAL
    assert g.call("fd_tell", fd, RESULT) == 0 and g.u64() == 5
    assert g.process.files.open("/hr/a.txt").data == b"help!"


def test_positioned_reads_and_writes_leave_the_position_alone(g: Guest) -> None:
    fd = g.open("a.txt", rights=ALL)
    g.memory.write(BUFFER, b"J")
    g.memory.write(VECTORS, struct.pack("<II", BUFFER, 1))
    assert g.call("fd_pwrite", fd, VECTORS, 1, 0, RESULT) == 0
    assert g.call("fd_pread", fd, VECTORS, 1, 4, RESULT) == 0
    assert g.memory.read(BUFFER, 1) == b"o"
    assert g.read(fd) == b"Jello"
    assert g.call("fd_pread", fd, VECTORS, 1, 2**64 - 1, RESULT) == 0 and g.u32() == 0


def test_appending_ignores_the_position(g: Guest) -> None:
    fd = g.open("a.txt", rights=ALL, flags=APPEND)
    assert g.write(fd, b"!") == 0
    assert g.call("fd_tell", fd, RESULT) == 0 and g.u64() == 6
    assert g.call("fd_fdstat_set_flags", fd, 0) == 0
    assert g.seek(fd, 0) == g.write(fd, b"J") == 0
    assert g.process.files.open("/hr/a.txt").data == b"Jello!"
    assert g.call("fd_fdstat_set_flags", fd, 32) == INVAL


def test_an_empty_write_beyond_the_end_does_not_grow_a_file(g: Guest) -> None:
    fd = g.open("a.txt", rights=ALL)
    assert g.seek(fd, 100) == g.write(fd, b"") == 0
    assert g.fstat(fd)["size"] == 5  # type: ignore[index]
    assert g.write(fd, b"x") == 0
    assert g.fstat(fd)["size"] == 101  # type: ignore[index]


def test_a_write_far_away_is_refused_before_anything_is_allocated(g: Guest) -> None:
    fd = g.open("a.txt", rights=ALL)
    assert g.seek(fd, 2**62) == 0
    assert g.write(fd, b"x") == NOSPC
    assert g.call("fd_filestat_set_size", fd, 2**64 - 1) == NOSPC
    assert g.call("fd_allocate", fd, 2**64 - 1, 2**64 - 1) == NOSPC


def test_allocating_grows_a_file_and_never_shrinks_it(g: Guest) -> None:
    fd = g.open("a.txt", rights=ALL)
    assert g.call("fd_allocate", fd, 0, 3) == 0
    assert g.fstat(fd)["size"] == 5  # type: ignore[index]
    assert g.call("fd_allocate", fd, 8, 2) == 0
    assert g.fstat(fd)["size"] == 10  # type: ignore[index]
    assert g.call("fd_allocate", fd, 0, 0) == INVAL


def test_advice_changes_nothing(g: Guest) -> None:
    fd = g.open("a.txt")
    assert [g.call("fd_advise", fd, 0, 10, advice) for advice in (0, 5, 6)] == [0, 0, INVAL]
    assert g.call("fd_advise", 3, 0, 0, 0) == BADF
    assert g.call("fd_advise", 1, 0, 0, 0) == SPIPE


def test_reading_or_writing_needs_the_right(g: Guest) -> None:
    reading, writing = g.open("a.txt", rights=READ), g.open("a.txt", rights=WRITE)
    assert g.write(reading, b"x") == BADF
    assert g.call("fd_read", writing, VECTORS, 0, RESULT) == BADF
    assert g.call("fd_filestat_set_size", reading, 0) == NOTCAPABLE
    assert g.seek(reading, 0) == g.call("fd_tell", reading, RESULT) == NOTCAPABLE
    assert g.call("fd_sync", reading) == g.call("fd_datasync", reading) == NOTCAPABLE
    assert g.fstat(reading) == NOTCAPABLE


def test_truncating_a_file_that_is_open_for_reading_is_invalid(g: Guest) -> None:
    assert g.call("fd_filestat_set_size", g.open("a.txt"), 0) == INVAL


def test_rights_are_given_up_and_never_taken_back(g: Guest) -> None:
    fd = g.open("a.txt", rights=ALL)
    _, _, base, inheriting = g.fdstat(fd)
    assert g.call("fd_fdstat_set_rights", fd, base & ~READ, inheriting) == 0
    assert g.call("fd_read", fd, VECTORS, 0, RESULT) == BADF
    assert g.call("fd_fdstat_set_rights", fd, base, inheriting) == NOTCAPABLE
    assert g.fdstat(fd)[2] == base & ~READ


def test_a_directory_passes_on_only_the_rights_that_it_may(g: Guest) -> None:
    fd = g.open("folder", rights=ALL & ~WRITE, inheriting=READ)
    assert g.try_open("new", CREAT, rights=READ | WRITE, fd=fd) == NOTCAPABLE
    assert g.fdstat(g.open("new", CREAT, rights=READ, fd=fd))[2] == READ


def test_a_directory_never_has_the_right_to_seek(g: Guest) -> None:
    fd = g.open("folder", rights=SEEK | TELL | READDIR)
    assert g.fdstat(fd)[2] == READDIR
    assert g.seek(fd, 0) == g.call("fd_tell", fd, RESULT) == BADF
    assert g.call("fd_read", fd, VECTORS, 0, RESULT) == ISDIR
    assert g.write(fd, b"x") == g.call("fd_allocate", fd, 0, 1) == BADF
    assert g.call("fd_filestat_set_size", fd, 0) == BADF


def test_a_reader_does_not_get_the_rights_that_change_a_file(root: Path) -> None:
    g = guest(root, ("**", "read"))
    fd = g.open("a.txt")
    assert g.fdstat(fd)[2] & (WRITE | ALLOCATE) == 0
    assert g.call("fd_filestat_set_times", fd, 1, 1, 5) == NOTCAPABLE


def test_times_are_zero_for_the_host_and_the_runs_own_for_what_it_made(g: Guest) -> None:
    assert g.stat("a.txt")["mtim"] == 0  # type: ignore[index]
    g.create("new")
    assert g.stat("new")["mtim"] == 10**18  # type: ignore[index]


def test_times_are_set_as_the_flags_say(g: Guest) -> None:
    fd = g.open("a.txt", rights=ALL)
    assert g.call("fd_filestat_set_times", fd, 11, 12, 1 | 4) == 0
    assert [g.fstat(fd)[name] for name in ("atim", "mtim", "ctim")] == [11, 12, 0]  # type: ignore[index]
    assert g.call("fd_filestat_set_times", fd, 21, 22, 4) == 0
    assert [g.fstat(fd)[name] for name in ("atim", "mtim")] == [11, 22]  # type: ignore[index]
    assert g.call("fd_filestat_set_times", fd, 0, 0, 2) == 0
    assert g.fstat(fd)["atim"] > 10**18  # type: ignore[index,operator]
    assert [g.call("fd_filestat_set_times", fd, 0, 0, flags) for flags in (3, 12, 16)] == [INVAL] * 3
    assert g.process.files.changes() == []


def test_closing_takes_effect_for_streams_and_preopens_too(g: Guest) -> None:
    for fd in (1, 3):
        assert g.call("fd_close", fd) == 0
        assert g.call("fd_close", fd) == g.call("fd_fdstat_get", fd, RESULT) == BADF
    assert g.try_open("a.txt") == BADF


def test_renumbering_replaces_an_open_descriptor_and_frees_the_old_number(g: Guest) -> None:
    first, second = g.open("a.txt"), g.open("folder")
    assert g.call("fd_renumber", first, second) == 0
    assert g.read(second) == b"hello"
    assert g.call("fd_fdstat_get", first, RESULT) == BADF
    assert g.call("fd_renumber", second, first) == g.call("fd_renumber", 99, second) == BADF
    assert g.call("fd_renumber", second, second) == 0
    assert g.call("fd_renumber", second, 1) == g.call("fd_fdstat_get", 1, RESULT) == 0


def test_a_file_without_a_name_lives_until_it_is_closed(g: Guest) -> None:
    fd = g.open("new", CREAT, rights=ALL)
    assert g.path("unlink_file", "new") == g.write(fd, b"still") == g.seek(fd, 0) == 0
    assert g.read(fd) == b"still"
    assert g.fstat(fd)["nlink"] == 0  # type: ignore[index]
    assert g.call("fd_close", fd) == 0
    assert g.process.files.changes() == []


def test_space_comes_back_when_a_file_is_gone(root: Path) -> None:
    g = guest(root, limits=Limits(overlay_bytes=100))
    for _ in range(10):
        g.create("big", bytes(90))
        assert g.path("unlink_file", "big") == 0


def test_names_are_bounded_too(root: Path) -> None:
    g = guest(root, limits=Limits(overlay_bytes=100))
    tried = [g.path("create_directory", f"d{i}") for i in range(1100)]
    assert tried[:900] == [0] * 900
    assert tried[-1] == NOSPC
    assert guest(root, limits=Limits(overlay_bytes=100)).stat("a.txt") != NOSPC


def test_open_files_are_bounded(root: Path) -> None:
    g = guest(root, limits=Limits(open_files=2))
    g.open("a.txt"), g.open("a.txt")
    assert g.try_open("new", CREAT, rights=ALL) == MFILE
    assert g.process.files.changes() == []


def test_a_preopen_tells_its_name(g: Guest) -> None:
    assert g.call("fd_prestat_get", 3, RESULT) == 0
    assert struct.unpack("<II", g.memory.read(RESULT, 8)) == (0, 3)
    assert g.call("fd_prestat_dir_name", 3, BUFFER, 2) == NAMETOOLONG
    assert g.call("fd_prestat_dir_name", 3, BUFFER, 10) == 0
    assert g.memory.read(BUFFER, 4) == b"/hr\0"
    assert g.call("fd_prestat_get", 4, RESULT) == g.call("fd_prestat_get", g.open("."), RESULT) == BADF


def test_listings_are_sorted_and_begin_with_the_directory_itself(g: Guest) -> None:
    g.create("b")
    entries = g.readdir(3)
    assert [(e.name, e.kind, e.next) for e in entries] == [
        (".", 3, 1),
        ("..", 3, 2),
        ("a.txt", 4, 3),
        ("b", 4, 4),
        ("folder", 3, 5),
    ]
    assert entries[2].inode == g.stat("a.txt")["ino"]  # type: ignore[index]
    assert g.call("fd_readdir", g.open("a.txt"), BUFFER, 100, 0, RESULT) == NOTDIR


def test_reading_a_directory_goes_on_where_it_was_while_entries_change(g: Guest) -> None:
    for name in "cdef":
        g.create(f"folder/{name}")
    fd = g.open("folder")
    begun = g.readdir(fd, size=24 + 1 + 24 + 2 + 25 * 2)
    assert [e.name for e in begun] == [".", "..", "c", "d"]
    assert g.path("unlink_file", "folder/c") == g.path("unlink_file", "folder/e") == 0
    g.create("folder/a")
    assert [e.name for e in g.readdir(fd, begun[-1].next)] == ["f"]
    assert [e.name for e in g.readdir(fd)] == [".", "..", "a", "d", "f"]
    assert g.readdir(fd, 2**64 - 1) == []


def test_an_entry_that_does_not_fit_is_cut_off(g: Guest) -> None:
    assert g.call("fd_readdir", 3, BUFFER, 30, 0, RESULT) == 0
    assert g.u32() == 30
    assert g.call("fd_readdir", 3, BUFFER, 0, 0, RESULT) == 0
    assert g.u32() == 0


def test_sockets_do_not_exist(g: Guest) -> None:
    assert g.call("sock_shutdown", 1, 0) == g.call("sock_accept", 3, 0, RESULT) == NOTSOCK
    assert g.call("sock_recv", 0, 0, 0, 0, 0, 0) == g.call("sock_send", 1, 0, 0, 0, 0) == NOTSOCK
    assert g.call("sock_shutdown", 99, 0) == BADF
