"""LiteRT.js, which runs the exported page's model: the files of one pinned version, and where a page finds them.

The browser holds every file against its hash, wherever it comes from.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imageshards.pipeline.source import UserError

VERSION = "2.5.3"
MODULES = {"@litertjs/core": "core/dist/index.js", "@litertjs/wasm-utils": "wasm-utils/dist/bundle.js"}

# Of each file that a page may load, in the form of the attribute `integrity`.
INTEGRITY = {
    "core/dist/index.js": "sha384-MapSVJ/DPwvaWpp7q+Bid9O3uY1oB0KOU1QRMP+Mm5zdz5oMme/BUyX6dVAMWnPg",
    "wasm-utils/dist/bundle.js": "sha384-exsfV8ctw1NXqXHEB/yQp2EVZPXaMZmlYhZSap8S+DUdtZ0Sq+W7JAtw7WyXvjen",
    "core/wasm/litert_wasm_internal.js": ("sha384-NB/Wc4iozynQO5jzJ2VFoMKbqMvwwFGWxJL/o63IJT6W2JfZbsSLxA2cF6H/mLpQ"),
    "core/wasm/litert_wasm_internal.wasm": ("sha384-AZ/Ak4CbDpjqpSr8WsnoL3Dcx6bDFA/k9b/jahok1TGHZ2OqIRjLBMiEmiNedhlC"),
    "core/wasm/litert_wasm_compat_internal.js": (
        "sha384-oh4nb8zDq6eVOpGeZE5gwDOJ16QujHLL8k/HEXt3XiPxr+8zn3YnkXP8P3BlJET1"
    ),
    "core/wasm/litert_wasm_compat_internal.wasm": (
        "sha384-glAZ6WjS7tLRt89pbTPXvLC1c7DCaVSfL2ngn5gZJiUuPs76fWYJy7ZeFaD0PJXx"
    ),
}

_NETWORK = "https://cdn.jsdelivr.net/npm/@litertjs"
_BESIDE = "./runtime"
_LICENCES = ("core/package.json", "wasm-utils/package.json")  # they name the licence, and go where the files go


@dataclass(frozen=True)
class Runtime:
    """Where a page finds LiteRT.js. `files` are those that go beside the page, by name; none for jsDelivr."""

    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """What a content security policy must allow besides the page's own host; empty where that is all."""
        return "" if self.files else f"{_NETWORK}/"

    def url(self, name: str) -> str:
        """Returns the address of a file of `INTEGRITY`."""
        if self.files:
            return f"{_BESIDE}/{name}"
        package, path = name.split("/", 1)
        return f"{_NETWORK}/{package}@{VERSION}/{path}"

    def write(self, folder: Path) -> None:
        """Writes the files that go beside the page in `folder`."""
        for name, content in self.files.items():
            path = folder / _BESIDE / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def read_runtime(folder: Path) -> Runtime:
    """Returns LiteRT.js as npm unpacks it, node_modules/@litertjs, to be copied beside a page.

    Raises:
      UserError: a file is missing, or is not that of the pinned version.
    """
    files = {name: _read(folder, name) for name in (*INTEGRITY, *_LICENCES)}
    for name, integrity in INTEGRITY.items():
        if _integrity(files[name]) != integrity:
            raise UserError(f"--web-runtime {folder}: {name} is not that of version {VERSION}; {_ADVICE}")
    return Runtime(files)


_ADVICE = f"give the folder node_modules/@litertjs that `npm install @litertjs/core@{VERSION}` makes"


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise UserError(f"--web-runtime {folder}: {name}: {error.strerror}; {_ADVICE}") from error


def _integrity(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()
