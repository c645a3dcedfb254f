"""The command `imageshards-verify`: reads published versions again, whole, and says what is not as it was published."""

import dataclasses
from collections.abc import Sequence

from simple_parsing import field

from imageshards.pipeline.command import FAILED, complain, new_parser, run_command, say

NAME = "imageshards-verify"


@dataclasses.dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Reads a published dataset again, whole: checksums, counts, labels, image sizes, the index against the records."""

    dataset: str = field(positional=True, metavar="DIR")
    """OUT/<dataset>/<version>; or OUT/<dataset>, which stands for all its versions."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 all is as published, 1 it is not, 2 a mistake."""
    run_command(NAME, _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    options: VerifyOptions = new_parser(NAME, VerifyOptions).parse_args(list(arguments)).options
    from imageshards.pipeline import storage
    from imageshards.pipeline.verify import described, verify
    from imageshards.pipeline.versions import find_versions

    damaged = False
    for version in find_versions(storage.place(options.dataset)):
        findings = []
        for finding in verify(version):
            findings.append(finding)
            complain(NAME, f"{version}: {finding}")
        if not findings:
            say(f"{version}: {described(version)}")
        damaged |= bool(findings)
    if damaged:
        complain(NAME, "not as published: copy it again from where it is whole, or delete it and run make records")
    return FAILED if damaged else 0


if __name__ == "__main__":
    main()
