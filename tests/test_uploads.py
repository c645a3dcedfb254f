"""What is dropped on the app: laid out as it lies, and kept in its folder whatever its names say."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from imageshards.pipeline import make_records
from imageshards.pipeline.api import plan_jobs
from imageshards.pipeline.options import Options
from imageshards.pipeline.source import UserError
from imageshards.train.terminal import Terminal
from imageshards.train.uploads import Limits, Upload, lay_out

from .conftest import draw_tree, encoded, gradient


def files(**contents: bytes) -> list[Upload]:
    return [Upload(name, io.BytesIO(content)) for name, content in contents.items()]


def zip_of(names: list[str], mode: int = stat.S_IFREG | 0o644, content: bytes = b"x") -> list[Upload]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return [Upload("pets.zip", io.BytesIO(buffer.getvalue()))]


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_and_a_zip_file_of_it_are_laid_out_alike(tmp_path: Path) -> None:
    names = ["pets/cat/é 1.jpg", "pets/cat/2.jpg", "pets/dog/1.jpg"]
    assert lay_out(files(**dict.fromkeys(names, b"x")), tmp_path / "one", Limits()) == 3
    assert lay_out(zip_of([*names, "__MACOSX/pets/._1.jpg"]), tmp_path / "other", Limits()) == 3
    assert tree(tmp_path / "one") == tree(tmp_path / "other") == ["cat/2.jpg", "cat/é 1.jpg", "dog/1.jpg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]


def test_photos_of_phones_and_of_the_web_are_laid_out_and_read(tmp_path: Path) -> None:
    heic = Path(__file__).with_name("gradient.heic").read_bytes()
    photos = files(**{"pets/cat/1.HEIC": heic, "pets/dog/1.avif": encoded(gradient(60, 40), "AVIF", speed=9)})
    assert lay_out(photos, tmp_path / "raw", Limits()) == 2
    made = make_records(str(tmp_path / "raw"), out=str(tmp_path / "data"))
    assert made.labels == ["cat", "dog"]
    assert made.rejected == 0


@pytest.mark.parametrize("name", ["../out.jpg", "/etc/out.jpg", "cat/../../out.jpg", "..\\out.jpg"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    for uploads in (files(**{name: b"x"}), zip_of([name])):
        with pytest.raises(UserError, match="leads out of its folder"):
            lay_out(uploads, tmp_path / "in/raw", Limits())
    assert not list(tmp_path.rglob("out.jpg"))


def test_links_bombs_damage_and_nothing_are_refused_with_a_sentence(tmp_path: Path) -> None:
    cases = {
        "holds a link": zip_of(["cat/1.jpg"], stat.S_IFLNK | 0o777, b"/etc/passwd"),
        "more than 1 MB, unpacked": zip_of(["cat/1.jpg"], content=bytes(3 << 20)),
        "more than 2 files": zip_of([f"cat/{n}.jpg" for n in range(3)]),
        "no zip file, or a damaged one": [Upload("a.zip", io.BytesIO(b"words"))],
        "nothing was uploaded": [],
        "cannot be unpacked: .*File exists": zip_of(["cat/1.jpg", "cat/1.jpg"]),
    }
    for number, (words, uploads) in enumerate(cases.items()):
        with pytest.raises(UserError, match=words):
            lay_out(uploads, tmp_path / f"{number}", Limits(files=2, megabytes=1))
        assert not (tmp_path / f"{number}").exists()


def test_a_command_is_shown_as_in_a_terminal() -> None:
    script = "import sys; print(sys.stdout.isatty()); print('10%\\r20%\\r30%', end=''); print('\\rdone'); sys.exit(3)"
    terminal = Terminal(["python3", "-c", script])
    for _ in terminal.follow():
        pass
    assert (terminal.lines, terminal.code) == (["True", "done"], 3)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a/1.png", "a/b/2.png", "c/d/3.png"], "(a/1.png, a/b/2.png); Move the files so that every image"),
        (["a/1.png", "a/2.png"], "every image would have the label 'a' (such as a/1.png); give one folder per label"),
    ],
)
def test_what_a_command_would_say_is_said_without_what_to_type(tmp_path: Path, names: list[str], said: str) -> None:
    pytest.importorskip("streamlit")
    from imageshards.train.app_training import in_the_app

    raw = draw_tree(tmp_path / "uploaded", names)
    with pytest.raises(UserError) as error:
        plan_jobs(Options(src=str(raw), out=str(tmp_path / "data")))
    words = in_the_app(str(error.value), raw)
    assert words.startswith("what was dropped: ")
    assert said in words
    assert "--" not in words
