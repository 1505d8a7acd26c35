"""Files that are written as a whole or not at all."""
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside ``path``, which takes its name when the block ends; after an error it is removed.

    Args:
        path: Its folder is made where it is missing. Of a link, the file that it points to is replaced; a device, such
            as /dev/stdout, is written to as it is.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        yield part
        with part.open('rb') as file:
            os.fsync(file.fileno())  # a name that outlives a power cut must not be that of an empty file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that is on the disk, as a whole, when this returns. Until then its former content is."""
    with replacing(path) as part, part.open('wb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # its new name
    finally:
        os.close(folder)
