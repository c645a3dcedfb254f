"""What the HTML reports share: the frame of a page, and pictures and curves that are part of it.

A page is one file. It loads nothing, runs nothing, and whatever a name holds it shows as text.
"""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

_THUMBNAIL = 112
_FRAME = Path(__file__).parent  # page.html, which the other templates extend


def render(template: Path, **content: Any) -> str:
    """Returns the page that `template`, a Jinja file that extends page.html, makes of `content`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _FRAME]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(**content)


def thumbnail(picture: Image.Image) -> str:
    """Returns a small copy of a square picture as a data: address."""
    picture.draft(None, (_THUMBNAIL, _THUMBNAIL))
    side = min(_THUMBNAIL, picture.width)
    buffer = io.BytesIO()
    picture.resize((side, side), Image.Resampling.BOX).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def thumbnail_of(image: bytes) -> str:
    """Returns a small copy of a stored image as a data: address."""
    with Image.open(io.BytesIO(image), formats=["JPEG", "PNG"]) as picture:
        return thumbnail(picture)
