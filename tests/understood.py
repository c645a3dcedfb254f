"""What is understood of SRC, as tests ask for it."""

from pathlib import Path

from imageshards.pipeline.options import Options
from imageshards.pipeline.sources.dataset import SourceDataset
from imageshards.pipeline.sources.layouts import read


def tree(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def understood(root: Path, **options: object) -> SourceDataset:
    (dataset,) = read(Options(src=str(root), **options))  # type: ignore[arg-type]
    return dataset


def labels_by_key(dataset: SourceDataset) -> dict[str, str]:
    return {source.key: source.label for source in dataset.sources}


def rejects(dataset: SourceDataset) -> dict[str, str]:
    return {reject.file: str(reject.reason) for reject in dataset.rejected}
