"""The file: what is opened, what is refused, and who may read it."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest

from postroom.errors import InvalidOption
from postroom.modules.sqlite import SqliteModule, schema
from postroom.modules.sqlite.opening import check_version, open_database
from postroom.store_errors import StoreBroken

from .calls import LEDGER, event, fetch, inside, publish


async def open_once(path: Path, **options: Any) -> None:
    async with SqliteModule(path, **options).open("session"):
        pass


async def test_a_new_file_can_be_read_by_its_owner_only(path: Path) -> None:
    before = os.umask(0)
    try:
        async with SqliteModule(path).open("session"):
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes.pop("events.db-wake") == 0o700
    assert set(modes) == {"events.db", "events.db-wal", "events.db-shm"}
    assert set(modes.values()) == {0o600}


async def test_an_empty_file_that_is_there_becomes_its_owners_alone(path: Path) -> None:
    path.touch()
    path.chmod(0o644)
    await open_once(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_name_that_no_file_can_have_is_refused(path: Path) -> None:
    with pytest.raises(StoreBroken, match=r"can't be made \(File name too long\)"):
        await open_once(path.with_name("x" * 300))


async def test_a_folder_is_refused_as_one(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreBroken, match=r"events\.db is a folder\. Give the path of a file"):
        await open_once(path)
    assert list(path.iterdir()) == []


async def test_a_file_whose_header_does_not_go_with_its_tables_is_refused(path: Path) -> None:
    await open_once(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 0")
    db.close()
    with pytest.raises(StoreBroken, match=r"can't be made ready \(table state already exists\)"):
        await open_once(path)


async def test_nothing_but_the_file_is_left_behind(path: Path) -> None:
    threads = threading.active_count()
    await open_once(path)
    assert [each.name for each in path.parent.iterdir()] == ["events.db"]
    assert threading.active_count() == threads


@pytest.mark.parametrize(("durability", "synchronous"), [("process", 1), ("power", 2)])
async def test_each_connection_is_set_up(path: Path, durability: Any, synchronous: int) -> None:
    async with SqliteModule(path, durability=durability).open("a") as a, SqliteModule(path).open("b"):
        names = ("journal_mode", "synchronous", "trusted_schema", "cell_size_check")
        found = await inside(a)._run(lambda tx: [tx.db.pragma(name) for name in names])
    assert found == ["wal", synchronous, 0, 1]


async def test_53_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"minutes of a meeting" * 100)
    with pytest.raises(StoreBroken, match=r"is not a database") as caught:
        await open_once(path)
    assert str(path) in str(caught.value)
    assert "recover" in caught.value.remedy
    assert path.read_bytes() == b"minutes of a meeting" * 100


async def test_53_a_damaged_file_is_refused_and_left_alone(path: Path) -> None:
    await open_once(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreBroken, match=r"is damaged") as caught:
        await open_once(path)
    assert str(path) in str(caught.value)
    assert path.exists()


async def test_53_a_file_of_a_newer_release_is_refused_and_left_alone(path: Path) -> None:
    await open_once(path)
    db = apsw.Connection(str(path))
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreBroken, match=r"has version 99 of the tables, and this release knows 3"):
        await open_once(path)


async def test_53_the_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE recipes(name)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreBroken, match=r"is the database of another program"):
        await open_once(path)
    assert path.read_bytes() == before


async def test_53_damage_that_is_found_later_ends_the_session_with_its_path(path: Path) -> None:
    async with SqliteModule(path).open("a") as store:
        await store.bind([LEDGER], serve=True)
        await store.publish(1, [[event(f"e{number}") for number in range(200)]])
    damage(path)
    async with SqliteModule(path).open("b") as store:
        with pytest.raises(StoreBroken, match=r"is damaged") as caught:
            await fetch(store, 200)
        with pytest.raises(StoreBroken):
            await store.news(0)
    assert str(path) in str(caught.value)


def damage(path: Path) -> None:
    """Overwrite the pages of the events."""
    db = apsw.Connection(str(path))
    pages = [row[0] for row in db.execute("SELECT pageno FROM dbstat WHERE name IN ('events', 'waiting')")]
    db.close()
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)


async def test_54_a_file_that_was_deleted_is_not_written_any_more(path: Path) -> None:
    async with SqliteModule(path).open("session") as store:
        await store.bind([LEDGER], serve=True)
        path.unlink()
        with pytest.raises(StoreBroken, match=r"was deleted while it was open"):
            await publish(store, 1, "e1")
        with pytest.raises(StoreBroken, match=r"was deleted while it was open"):
            await store.news(0)
    assert not path.exists()


async def test_54_a_file_that_was_replaced_is_not_written_any_more(path: Path) -> None:
    async with SqliteModule(path).open("session") as store:
        path.rename(path.with_name("elsewhere.db"))
        path.write_bytes(b"")
        with pytest.raises(StoreBroken, match=r"was replaced while it was open"):
            await store.bind([LEDGER], serve=True)
    assert path.read_bytes() == b""


async def test_54_an_idle_session_notices_too(path: Path) -> None:
    async with SqliteModule(path, lease=0.3).open("session") as store:
        path.unlink()
        with pytest.raises(StoreBroken, match=r"was deleted"):
            while True:
                await store.news(0)


def test_55_a_migration_that_was_killed_half_way_is_done_by_the_next_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = schema.TABLES.partition("CREATE TABLE lent")[0]
    monkeypatch.setattr(schema, "MIGRATIONS", (half + "SELECT no_such_thing()",))
    with pytest.raises(StoreBroken, match="no_such_thing"):
        open_database(path, "process")
    monkeypatch.undo()
    db = open_database(path, "process")
    assert db.execute("SELECT count(*) FROM lent").get == 0
    db.close()


@pytest.mark.slow
def test_56_processes_that_migrate_at_once_all_find_it_done(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from postroom.modules.sqlite.opening import open_database\n"
        "sys.stdin.read(1); db = open_database(Path(sys.argv[1]), 'process')\n"
        "print(db.pragma('user_version'), db.pragma('integrity_check')); db.close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    answers = [each.communicate("go")[0] for each in processes]
    assert answers == [f"{schema.VERSION} ok\n"] * 3


@pytest.mark.parametrize("version", ["3.7.0", "3.40.1", "3.44.5", "3.50.6", "3.51.2"])
def test_a_sqlite_with_the_wal_reset_race_is_refused(version: str) -> None:
    with pytest.raises(StoreBroken, match=r"WAL-reset race"):
        check_version(version)


@pytest.mark.parametrize("version", ["3.44.6", "3.50.7", "3.51.3", "3.54.1"])
def test_a_sqlite_without_it_is_taken(version: str) -> None:
    check_version(version)


async def test_the_version_is_checked_when_a_file_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.50.4")
    with pytest.raises(StoreBroken, match=r"SQLite 3\.50\.4"):
        await open_once(path)
    assert not path.exists()


async def test_strict_refuses_a_folder_that_others_may_write(path: Path) -> None:
    path.parent.chmod(0o770)
    with pytest.raises(StoreBroken, match=r"others may write into"):
        await open_once(path, strict=True)
    path.parent.chmod(0o700)
    await open_once(path, strict=True)


async def test_strict_refuses_symbolic_links(path: Path) -> None:
    folder = path.parent / "real"
    folder.mkdir(mode=0o700)
    link = path.parent / "link"
    link.symlink_to(folder)
    with pytest.raises(StoreBroken, match=r"is a symbolic link"):
        await open_once(link / "events.db", strict=True)
    (folder / "events.db").symlink_to(path)
    with pytest.raises(StoreBroken, match=r"is a symbolic link"):
        await open_once(folder / "events.db", strict=True)


async def test_a_folder_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(StoreBroken, match=r"can't be made"):
        await open_once(path.parent / "nowhere" / "events.db")


@pytest.mark.parametrize("wrong", ["", "/", ":memory:", "file:x?mode=memory", "a\0b", b"x", 7, None])
def test_what_is_no_path_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="path"):
        SqliteModule(wrong)


@pytest.mark.parametrize(
    "options",
    [
        {"durability": "disk"},
        {"lease": 0},
        {"window": -1},
        {"keep": float("nan")},
        {"busy_timeout": "5"},
        {"strict": 1},
    ],
)
def test_wrong_options_are_refused(options: Any) -> None:
    with pytest.raises(InvalidOption, match=next(iter(options))):
        SqliteModule("events.db", **options)


def test_the_module_does_not_load_sqlite_before_a_file_is_opened() -> None:
    program = (
        "import sys; from postroom.modules.sqlite import SqliteModule\n"
        "SqliteModule('x.db'); print('apsw' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
