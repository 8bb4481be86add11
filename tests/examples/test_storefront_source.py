"""The storefront's input: files, pipes, FIFOs and devices, none of which holds up the event loop."""

import os
from pathlib import Path

import anyio
import pytest

from examples.storefront.source import CHUNK, open_source


async def test_a_file_is_read_in_bounded_chunks_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (CHUNK + 1))
    with open_source(path) as source:
        assert [len(await source.read()) for _ in range(3)] == [CHUNK, 1, 0]
        assert source.bytes_read == source.size == CHUNK + 1


async def test_each_read_of_a_file_lets_other_tasks_run(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with open_source(path) as source, anyio.move_on_after(0) as patience:
        await source.read()
    assert patience.cancelled_caught
    assert source.bytes_read == 0


async def test_a_fifo_that_nobody_writes_to_can_be_given_up(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with open_source(path) as source, anyio.move_on_after(3600) as patience:
        await source.read()
    assert patience.cancelled_caught


async def test_a_fifo_is_read_until_its_writer_leaves(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with open_source(path) as source:
        with path.open("wb", buffering=0) as writer:
            writer.write(b"x")
            assert await source.read() == b"x"
            with anyio.move_on_after(1) as patience:
                await source.read()
            assert patience.cancelled_caught
        assert await source.read() == b""
        assert source.size is None


async def test_a_device_that_never_ends_is_read_in_bounded_chunks() -> None:
    with open_source(Path("/dev/zero")) as source:
        assert [len(await source.read()) for _ in range(3)] == [CHUNK] * 3


async def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), open_source(tmp_path):
        pass
