"""Runs imageshards-records and kills it, with SIGKILL, just before its N-th use of a file.

    python tests/killed.py N LOG SRC OPTION…

N = 0 kills nothing. LOG gets a line for every use of a file by the job, and a line "normalized" for every image.
"""

import os
import signal
import sys

from imageshards.pipeline import chunks, facts
from imageshards.pipeline.__main__ import main

EVENTS = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir", "shutil.rmtree", "ctypes.dlsym")
CHUNK_IMAGES = 16


def run(moment: int, log: int, arguments: list[str]) -> None:
    seen = 0

    def watch(event: str, parts: tuple[object, ...]) -> None:
        nonlocal seen
        if event not in EVENTS:
            return
        what = os.fsdecode(parts[0]) if isinstance(parts[0], (str, bytes, os.PathLike)) else ""
        if event == "ctypes.dlsym" and parts[1] == "renameat2":
            what = "/exchange"
        if "/pets" not in what and what != "/exchange":
            return
        seen += 1
        os.write(log, f"{event} {what}\n".encode())
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    normalize = chunks.normalize

    def counted(*of: object) -> object:
        os.write(log, b"normalized\n")
        return normalize(*of)  # type: ignore[arg-type]

    chunks.normalize = counted  # type: ignore[assignment]
    facts.CHUNK_IMAGES = CHUNK_IMAGES
    chunks._SLICE_IMAGES = 4
    sys.addaudithook(watch)
    main(arguments)


if __name__ == "__main__":
    run(int(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT), sys.argv[3:])
