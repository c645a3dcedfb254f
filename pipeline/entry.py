"""Where the commands begin. Nothing here takes time to import, so that Ctrl-C is quiet from the first moment on."""

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

INTERRUPTED = 130
STARTED_BY = os.getppid()  # which may be dead before a command has imported what it needs


def _command(module: str) -> Callable[[], None]:
    """Returns a function that imports a module and runs its `main`."""

    def start() -> None:
        # NumPy reads this when it is imported. Its threads spin while they wait for one another, which on a busy
        # machine costs several times the CPU time of a product, and wall time too.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        with stopped_at_once():
            main = importlib.import_module(module).main
        main()

    return start


records = _command("imageshards.pipeline.__main__")
verify = _command("imageshards.pipeline.verify_command")
report = _command("imageshards.pipeline.report_command")
train = _command("imageshards.train.__main__")
evaluate = _command("imageshards.train.evaluate_command")
predict = _command("imageshards.train.predict_command")
app = _command("imageshards.train.app")


def _say_stopped() -> None:
    os.write(2, b"%s: stopped\n" % os.fsencode(sys.argv[0].rpartition("/")[2]))


@contextlib.contextmanager
def stopped_at_once(say: Callable[[], None] = _say_stopped) -> Iterator[None]:
    """Lets Ctrl-C end the process within the block, where it stands, after `say`.

    Half an import cannot be unwound quietly, and Beam would wrap a KeyboardInterrupt and wait for the threads that
    decode. Nothing that they hold needs care: a chunk's facts appear whole, or not at all.
    """

    def stop(*_: object) -> None:
        say()
        os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
