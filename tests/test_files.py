"""Reading what comes from outside: regular files only, no more of them than was asked for, and no torn ones."""

import os
import socket
from pathlib import Path

import pytest

from warpprior.support.errors import InputError
from warpprior.support.files import open_regular, read_bytes


def refused(path, **options) -> str:
    """What read_bytes says about the file."""
    with pytest.raises(InputError) as caught:
        read_bytes(path, "a thing", **options)
    return str(caught.value)


def test_a_file_is_read_whole(tmp_path):
    """Also through a link, and as large as the limit."""
    (tmp_path / "a").write_bytes(bytes(range(100)))
    (tmp_path / "b").symlink_to("a")
    for name in ("a", "b"):
        assert read_bytes(tmp_path / name, "a thing", limit=100) == bytes(range(100))
    assert "a thing may have up to 99 bytes" in refused(tmp_path / "a", limit=99)


def make_socket(path: Path) -> None:
    """A socket's file, in the current folder: such paths must be short."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path.name)
    listener.close()


NO_FILES = {
    "pipe": (lambda path: os.mkfifo(path), "is not a regular file"),
    "socket": (make_socket, "is not a regular file"),
    "endless device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), "is not a regular file"),
    "folder": (lambda path: path.mkdir(), "is not a file but a folder"),
    "links in a circle": (lambda path: path.symlink_to(path), "cannot be read"),
    "nothing": (lambda path: None, "does not exist"),
    "nothing behind a file": (lambda path: path.parent.joinpath("f").write_bytes(b"1"), "does not exist"),
    "empty": (lambda path: path.touch(), "is empty"),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch, kind):
    """Nothing waits for a pipe, and no device is opened."""
    monkeypatch.chdir(tmp_path)
    make, words = NO_FILES[kind]
    make(tmp_path / "x")
    message = refused(tmp_path / "x")
    assert words in message and "give the path of a thing" in message
    assert words in refused(tmp_path / "x", where="frame 3") and "frame 3" in refused(tmp_path / "x", where="frame 3")


def test_a_pipe_that_took_the_place_of_a_file_is_refused(tmp_path, monkeypatch):
    """What was opened is looked at, too, and opening it does not wait for a writer."""
    (tmp_path / "file").write_bytes(b"1")
    os.mkfifo(tmp_path / "pipe")
    status = os.stat(tmp_path / "file")
    monkeypatch.setattr("warpprior.support.files.os.stat", lambda path: status)
    assert "is not a regular file" in refused(tmp_path / "pipe")


def test_files_of_the_kernel_have_no_size():
    """They are read to their end, up to the limit."""
    assert b"python" in read_bytes("/proc/self/cmdline", "a thing")
    assert "may have up to 10 bytes" in refused("/proc/self/status", limit=10)


def test_a_file_that_is_written_to_meanwhile_is_refused(tmp_path, monkeypatch):
    """It grows with every look at it: the limit holds, and what was read is not whole."""
    path = tmp_path / "log"
    path.write_bytes(b"0" * 10)
    found = os.fstat

    def growing(descriptor):
        with path.open("ab") as stream:
            stream.write(b"1" * 10)
        return found(descriptor)

    monkeypatch.setattr("warpprior.support.files.os.fstat", growing)
    assert "was written to while it was read; wait until it is complete" in refused(path)
    assert "may have up to 25 bytes" in refused(path, limit=25)


def test_what_fails_while_a_file_is_read_is_told_of_it(tmp_path):
    """A disk that gives an error has a name, and the file is closed."""
    (tmp_path / "a").write_bytes(b"1")
    with pytest.raises(InputError, match=r"the thing: cannot be read \(it broke\); do this"):
        with open_regular(tmp_path / "a", "the thing", "do this") as stream:
            raise OSError(5, "it broke")
    assert stream.closed
