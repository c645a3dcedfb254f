"""What a runner elsewhere says of a job that failed, as one sentence.

It comes as text: of the worker's own error, in the middle of what Java or gRPC adds to it; or of a worker or a service
that is gone.
"""

import re

_LONGEST = 300

_IN_A_STEP = re.compile(r"^(.*?) \[while running '[^']*'\]", re.MULTILINE)  # Beam's mark on a worker's error
_CLASS = re.compile(r"^(?:Caused by: )?(?:[\w$]+\.)*[A-Z]\w*(?:Error|Exception|Failure): ")
_NUMBER = re.compile(r"^\[Errno \d+\] ")
_STATE = re.compile(r"^Pipeline \S+ failed in state \w+: ")
_DETAILS = re.compile(r'^\s*details = "(.*)"$', re.MULTILINE)  # of an error of gRPC


def in_words(error: BaseException) -> str:
    """Returns why a job elsewhere failed: the words of the error in a worker, or of the runner where none tells."""
    text = str(error)
    in_a_step = _IN_A_STEP.findall(text)
    if in_a_step:
        return _without_classes(in_a_step[-1])
    details = _DETAILS.search(text)
    if details:
        return f"the runner is gone: {details[1][:_LONGEST]}"
    lines = [line.strip() for line in _STATE.sub("", text).splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    said = [*causes[-1:], *lines[:1], type(error).__name__][0]
    return f"a worker ended, or the runner itself: {_without_classes(said)}"


def _without_classes(line: str) -> str:
    while (shorter := _NUMBER.sub("", _CLASS.sub("", line))) != line:
        line = shorter
    return line[:_LONGEST]
