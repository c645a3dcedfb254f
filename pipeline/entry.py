"""Where the commands begin. Nothing here takes time to import, so that Ctrl-C is quiet from the first moment on."""

import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

INTERRUPTED = 130


def _command(module: str) -> Callable[[], None]:
    """Returns a function that imports a module and runs its `main`."""

    def start() -> None:
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


@contextlib.contextmanager
def stopped_at_once() -> Iterator[None]:
    """Lets Ctrl-C end the process within the block, where it stands: half an import cannot be unwound quietly."""

    def stop(*_: object) -> None:
        os.write(2, b"%s: stopped\n" % os.fsencode(sys.argv[0].rpartition("/")[2]))
        os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
