"""From an address to a sound file."""
import fcntl
import hashlib
import io
import os
import platform
import re
import secrets
import string
import time
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from socket import socket
from typing import BinaryIO, Iterator, Optional, Tuple
from urllib.parse import quote
from urllib.request import (AbstractHTTPHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor, HTTPRedirectHandler,
                            OpenerDirector, ProxyHandler, Request, UnknownHandler)

from rich.console import Console
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from .read import CheckpointError, check_file

SILENCE = 30
"""Seconds that a server may say nothing."""
WINDOW, LEAST_RATE = 60, 5_000
"""Seconds over which a download is watched, and the bytes a second that the file must grow by on their average."""
LARGEST = 20_000_000_000
"""Bytes; no backbone's weights come near, and a server that never ends fills no disk."""
ABANDONED = 3600
"""Seconds after which a part file that another machine doesn't write to is nobody's."""

_PART = '.download-'
_MACHINE = re.sub(r'\W', '_', platform.node())[:64]


def download(url: str, target: Path, digits: str = '') -> None:
    """Downloads a checkpoint; only a sound one gets its name.

    Several processes and machines may fetch the same file at once: each writes a part file of its own.

    Args:
        url: With scheme http or https, to which redirects are limited as well.
        target: File to write. Its folder is made where it is missing.
        digits: The first of its SHA-256, in hexadecimal, where they are known.

    Raises:
        CheckpointError: The download failed, or what came is not a whole checkpoint; the message names the address.
    """
    try:
        with _part_file(target) as (part, file):
            _receive(url, file, target.name)
            file.flush()
            try:
                check(part, digits)
            except CheckpointError as error:
                raise CheckpointError(str(error).replace(str(part), one_line(url))) from error
            os.replace(part, target)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: of addresses and headers that are none
        raise CheckpointError(f'{one_line(url)} could not be fetched: {one_line(error) or type(error).__name__}') from error


def check(path: Path, digits: str = '') -> None:
    """Makes sure that a file is a whole checkpoint, and the one that is meant.

    Raises:
        CheckpointError: It is not.
    """
    check_file(path)
    if digits:
        digest = hashlib.sha256()
        with path.open('rb') as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if not digest.hexdigest().startswith(digits):
            raise CheckpointError(f'{path} is damaged or another file: its SHA-256 begins with '
                                  f'{digest.hexdigest()[:len(digits)]}, not {digits}. Get the file again.')


def one_line(text: object) -> str:
    """What others wrote, fit for a line of a message."""
    text = ' '.join(''.join(letter if letter.isprintable() else ' ' for letter in str(text)).split())
    return text if len(text) <= 300 else f'{text[:300]}...'


@contextmanager
def _part_file(target: Path) -> Iterator[Tuple[Path, BinaryIO]]:
    """A new file in the target's folder, locked, and its path; removed in the end if it is still there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for part in target.parent.glob(f'{_PART}*'):
        _remove_abandoned(part)
    part = target.with_name(f'{_PART}{_MACHINE}-{secrets.token_hex(8)}')
    try:
        with part.open('xb') as file:
            with suppress(OSError):  # file systems without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield part, file
    finally:
        part.unlink(missing_ok=True)


def _remove_abandoned(part: Path) -> None:
    """Removes what a killed download has left. Locks show the living ones on this machine, the time those on others."""
    with suppress(OSError):  # it is locked, or gone already, or somebody else's
        if part.name.startswith(f'{_PART}{_MACHINE}-') or time.time() - part.stat().st_mtime > ABANDONED:
            with part.open('r+b') as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()


def _receive(url: str, file: BinaryIO, title: str) -> None:
    opener = OpenerDirector()  # without the handlers of file:, ftp: and data:, which a redirect could name
    for handler in (ProxyHandler, UnknownHandler, _HTTPHandler, HTTPDefaultErrorHandler, HTTPRedirectHandler,
                    HTTPErrorProcessor):
        opener.add_handler(handler())
    request = Request(quote(url, safe=string.punctuation), headers={'User-Agent': 'mmvit_backbones'})
    columns = *Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn()
    with opener.open(request, timeout=SILENCE) as response, Progress(*columns, console=Console(stderr=True)) as progress:
        encoding = response.headers.get('Content-Encoding', 'identity')
        if encoding.lower() != 'identity':
            raise ValueError(f'the server sends it encoded ({encoding}), which it was not asked for')
        size = response.length
        if size is not None and size > LARGEST:
            raise ValueError(f'the server announces {size:,} bytes; at most {LARGEST:,} are fetched')
        bar, got = progress.add_task(title, total=size), 0
        while block := response.read1(1 << 18):
            file.write(block)
            got += len(block)
            if got > LARGEST:
                raise ValueError(f'it has no end after {LARGEST:,} bytes')
            progress.update(bar, advance=len(block))
            response.watch.got = got
        if size is not None and got != size:
            raise ConnectionError(f'it broke off after {got:,} of {size:,} bytes. Try again')


class _Watch(io.RawIOBase):
    """What a server sends, headers and all, for as long as enough of the file comes with it.

    Attributes:
        got: Bytes of the file so far; whoever reads it counts them.
    """

    def __init__(self, stream: io.RawIOBase) -> None:
        self.stream, self.got = stream, 0
        self._since, self._before = time.monotonic(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        count = self.stream.readinto(buffer)
        seconds = time.monotonic() - self._since
        if seconds > WINDOW:
            rate = (self.got - self._before) / seconds
            if rate < LEAST_RATE:
                raise TimeoutError(f'too slow, {rate:,.0f} bytes a second over {seconds:.0f} s. Try again')
            self._since, self._before = time.monotonic(), self.got
        return count

    def close(self) -> None:
        self.stream.close()
        super().close()


class _HTTPResponse(HTTPResponse):

    def __init__(self,
                 sock: socket,
                 debuglevel: int = 0,
                 method: Optional[str] = None,
                 url: Optional[str] = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.watch = _Watch(self.fp.detach())
        self.fp = io.BufferedReader(self.watch)


class _HTTPConnection(HTTPConnection):
    response_class = _HTTPResponse


class _HTTPSConnection(HTTPSConnection):
    response_class = _HTTPResponse


class _HTTPHandler(AbstractHTTPHandler):
    """Opens http: and https: with the responses above; certificates are verified as Python does by default."""

    def http_open(self, request: Request) -> HTTPResponse:
        return self.do_open(_HTTPConnection, request)

    def https_open(self, request: Request) -> HTTPResponse:
        return self.do_open(_HTTPSConnection, request)

    http_request = https_request = AbstractHTTPHandler.do_request_
