"""Which versions a dataset has, and how one takes the place of another."""

import errno
import shutil
from pathlib import Path

import pytest

from imageshards.pipeline import on_disk
from imageshards.pipeline.errors import UserError
from imageshards.pipeline.publication import place_of
from imageshards.pipeline.report_command import main as report
from imageshards.pipeline.verify_command import main as verify
from imageshards.pipeline.versions import (
    Version,
    find_versions,
    previous_version,
    published_name,
    published_versions,
)

from .conftest import Command, draw_tree


def _publish(folder: Path, *numbers: str) -> None:
    for number in numbers:
        (folder / number).mkdir(parents=True)
        for name in ("dataset_info.json", "metadata.json", "index.parquet"):
            (folder / number / name).write_text("{}")


def test_versions_are_ordered_by_number_and_backups_are_none(tmp_path: Path) -> None:
    _publish(tmp_path, "10.0.0", "2.0.0", "9.1.0", "9.1.0.bak", "11.0.0 (1)", "1.02.0", "incomplete.12.0.0", "٣.0.0")
    (tmp_path / "12.0.0").mkdir()
    (tmp_path / "13.0.0").write_text("a file")
    assert [path.name for path in published_versions(tmp_path)] == ["2.0.0", "9.1.0", "10.0.0"]
    assert find_versions(tmp_path / "9.1.0.bak") == [tmp_path / "9.1.0.bak"]  # asked for by its own name
    with pytest.raises(UserError, match="no published version is there"):
        find_versions(tmp_path / "12.0.0")


def test_the_previous_version_is_the_same_one_else_the_newest_of_ours(tmp_path: Path) -> None:
    assert previous_version(Version(tmp_path / "pets", "1.0.0")) is None
    _publish(tmp_path, "1.0.0", "2.0.0", "3.0.0")
    (tmp_path / "3.0.0/metadata.json").unlink()  # another program's
    assert previous_version(Version(tmp_path, "1.0.0")) == tmp_path / "1.0.0"
    assert previous_version(Version(tmp_path, "4.0.0")) == tmp_path / "2.0.0"


def _filled(version: Version, text: str) -> None:
    version.unpublished.mkdir(parents=True, exist_ok=True)
    for name in ("dataset_info.json", "metadata.json", "index.parquet"):
        (version.unpublished / name).write_text(text)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_version_changes_places_with_the_one_that_it_replaces(
    tmp_path: Path, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not at_once:
        monkeypatch.setattr(on_disk, "_exchange_at_once", lambda *_: False)
    version = Version(tmp_path / "pets", "1.0.0")
    for text in ("old", "new"):
        with place_of(version).work_folder():
            _filled(version, text)
            place_of(version).publish()
        assert (version.path / "dataset_info.json").read_text() == text
        assert [path.name for path in version.folder.iterdir()] == ["1.0.0"]


def test_a_job_killed_between_the_renames_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = Version(tmp_path / "pets", "1.0.0")
    with place_of(version).work_folder():
        _filled(version, "old")
        place_of(version).publish()
    monkeypatch.setattr(on_disk, "_exchange_at_once", lambda *_: False)
    rename, done = Path.rename, []

    def killed(path: Path, target: Path) -> Path:
        if done:
            raise OSError(errno.EIO, "killed here")
        done.append(path)
        return rename(path, target)

    with place_of(version).work_folder():
        _filled(version, "new")
        monkeypatch.setattr(Path, "rename", killed)
        with pytest.raises(OSError, match="killed here"):
            place_of(version).publish()
        monkeypatch.setattr(Path, "rename", rename)
        assert not version.path.exists()
    with place_of(version).work_folder():
        assert (version.path / "dataset_info.json").read_text() == "old"
        assert not (version.work / "replaced").exists()


def test_two_jobs_never_build_one_version(tmp_path: Path) -> None:
    version = Version(tmp_path / "pets", "1.0.0")
    with (
        place_of(version).work_folder(),
        pytest.raises(UserError, match="is building it"),
        place_of(version).work_folder(),
    ):
        pass
    with place_of(version).work_folder():
        pass


def test_a_renamed_folder_beside_a_backup_is_drawn_and_verified(tmp_path: Path, records: Command) -> None:
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in "ab" for n in range(4)])
    assert records(src, "--size", "16")[0] == 0
    folder = (tmp_path / "data/pets").rename(tmp_path / "data/animals")
    shutil.copytree(folder / "1.0.0", folder / "2.0.0.bak")
    assert published_name(folder / "1.0.0") == "pets"
    (folder / "1.0.0/report.html").unlink()
    for command in (report, verify):
        with pytest.raises(SystemExit) as exited:
            command([str(folder)])
        assert exited.value.code == 0
    assert "<h1>pets" in (folder / "1.0.0/report.html").read_text()
