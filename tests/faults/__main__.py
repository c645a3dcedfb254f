"""Lets the N-th call of a disk or of a bucket fail, for N = 1, 2, 3 … until the job passes.

    python tests/faults disk|bucket [--sample K]

After each job there is either the right version, or a sentence, the version from before, and a next job that makes the
right one. The table that is printed says how often, for each fault and each step of the job. The disk needs Linux and a
C compiler; the bucket is moto's S3 on this machine.

The jobs run in copies (forks) of this process, which has imported everything, so that a fault costs no start.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator

from driver import Place, empty_folder, import_everything, outcomes, table


@contextlib.contextmanager
def disk() -> Iterator[Place]:
    """Yields folders on a disk that fails."""
    from disk import Disk, loaded

    with loaded(), empty_folder() as folder:
        import_everything()
        yield Disk(folder)


@contextlib.contextmanager
def bucket() -> Iterator[Place]:
    """Yields a bucket that fails."""
    from bucket import Bucket, served

    with served() as port, empty_folder() as folder:
        import_everything()
        yield Bucket(folder, port)


def main() -> None:
    """Prints the table; exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", choices=("disk", "bucket"))
    parser.add_argument("--sample", type=int, default=0, metavar="K", help="so many faults, drawn by a seed; else all")
    options = parser.parse_args()
    found = []
    with (disk if options.place == "disk" else bucket)() as place:
        for outcome in outcomes(place, options.sample):
            found.append(outcome)
            if outcome.wrong:
                print(outcome, flush=True)
        calls, unsynced = place.calls(), place.unsynced()
    met = sum(bool(outcome.step) for outcome in found)
    print(table(found))
    print(f"{len(found)} jobs, {met} of which met their fault; an undisturbed one has the calls {calls}")
    print(f"published before it was synced: {', '.join(unsynced) or 'nothing'}")
    sys.exit(bool(unsynced) or any(outcome.wrong for outcome in found))


if __name__ == "__main__":
    main()
