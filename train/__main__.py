"""The command `imageshards-train`: trains, evaluates, and writes runs/<dataset>-<model>/."""

import dataclasses
import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageshards.pipeline.command import INTERRUPTED, new_parser, run_command
from imageshards.pipeline.images import Normalization
from imageshards.train.options import Options
from imageshards.train.quiet import import_tensorflow

if TYPE_CHECKING:
    from imageshards.train.evaluate import Evaluation
    from imageshards.train.input import Dataset

NAME = "imageshards-train"

_MISTAKES_SHOWN = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 it failed, 2 the user can mend it, 130 interrupted."""
    run_command(NAME, _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    start = time.monotonic()
    options: Options = new_parser(NAME, Options).parse_args(list(arguments)).options

    import_tensorflow()  # after --help, which need not wait for it
    from imageshards.train import evaluate, export
    from imageshards.train.fit import fit
    from imageshards.train.input import keys, labels, open_dataset
    from imageshards.train.report import REPORT, write_report

    dataset = open_dataset(options.dataset, options.data, options.validation_percent)
    folder = Path(options.runs) / options.run_name()
    folder.mkdir(parents=True, exist_ok=True)
    fitted = fit(options, dataset, Path(options.runs) / ".features", folder / "tensorboard")
    evaluations = [
        evaluate.Evaluation(
            split, keys(dataset, split), labels(dataset, split), fitted.probabilities(dataset, split), dataset.labels
        )
        for split in dataset.splits
    ]
    settings = _settings(options, dataset, arguments)
    export.save(folder, fitted.model, dataset.labels, settings)
    export.export(folder, fitted.model, options.exports())
    metrics = _metrics(evaluations) | {
        "best_epoch": fitted.best_epoch,
        "epochs": len(fitted.history),
        "interrupted": fitted.interrupted,
        "seconds": round(time.monotonic() - start, 1),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2, sort_keys=True), encoding="utf-8")
    evaluate.write_rows(folder / "history.csv", fitted.history)
    evaluate.write_rows(folder / "labels.csv", [row for each in evaluations for row in each.per_label()])
    evaluate.write_confusion(folder / "confusion.csv", evaluations)
    evaluate.write_predictions(folder / "predictions.csv", evaluations)
    write_report(folder, dataset, evaluations, fitted.history, metrics, settings)
    _print(evaluations, metrics, folder)
    print(f"  {folder / REPORT}")
    return INTERRUPTED if fitted.interrupted else 0


def _metrics(evaluations: "list[Evaluation]") -> dict[str, Any]:
    """Returns accuracy and loss of each split, what guessing reaches on new images, and how the model fits."""
    from imageshards.train.evaluate import baseline, verdict

    by_split = {evaluation.split: evaluation for evaluation in evaluations}
    newest = by_split.get("validation") or by_split.get("test") or by_split["train"]
    guess = baseline(by_split["train"], newest)
    validation = by_split["validation"].accuracy if "validation" in by_split else None
    fit, sentence = verdict(by_split["train"].accuracy, validation, guess)
    metrics: dict[str, Any] = {"baseline_accuracy": guess, "fit": fit, "fit_in_words": sentence}
    for split, evaluation in by_split.items():
        metrics[f"{split}_accuracy"] = evaluation.accuracy
        metrics[f"{split}_loss"] = evaluation.loss
        metrics[f"{split}_images"] = len(evaluation.truth)
    return metrics


def _settings(options: Options, dataset: "Dataset", arguments: Sequence[str]) -> dict[str, Any]:
    """Returns what a run must know of itself: how photos become its input, and how to make it again."""
    height, _, channels = dataset.image_shape
    assumed = Normalization(size=height, color="rgb" if channels == 3 else "gray", encoding="png")
    return {
        "command": shlex.join([NAME, *arguments]),
        "dataset": dataset.builder.info.full_name,
        "fingerprint": dataset.fingerprint,
        "normalization": dataset.metadata().get("normalization") or dataclasses.asdict(assumed),
        "options": dataclasses.asdict(options),
    }


def _print(evaluations: "list[Evaluation]", metrics: dict[str, Any], folder: Path) -> None:
    print(f"{'split':<12}{'images':>8}{'accuracy':>10}{'loss':>9}")
    for evaluation in evaluations:
        print(f"{evaluation.split:<12}{len(evaluation.truth):>8}{evaluation.accuracy:>10.1%}{evaluation.loss:>9.4f}")
    print(f"{'guessing':<12}{'':>8}{metrics['baseline_accuracy']:>10.1%}   always the most frequent label")
    print(f"{metrics['fit']}: {metrics['fit_in_words']}")
    new = next((each for each in evaluations if each.split == "validation"), evaluations[-1])
    wrong = [n for n in range(len(new.truth)) if new.predicted[n] != new.truth[n]]
    wrong.sort(key=lambda n: -float(new.probabilities[n].max()))
    for n in wrong[:_MISTAKES_SHOWN]:
        said, true = new.labels[new.predicted[n]], new.labels[new.truth[n]]
        print(f"  wrong: {new.keys[n]} is {true}, taken for {said} ({new.probabilities[n].max():.0%})")
    if len(wrong) > _MISTAKES_SHOWN:
        print(f"  … and {len(wrong) - _MISTAKES_SHOWN} more of {new.split}, in predictions.csv")
    print(f"{folder}: model.keras, labels.txt, metrics.json, predictions.csv … after {metrics['seconds']} s")
    print(f"  imageshards-predict {shlex.quote(str(folder))} IMAGE …")


if __name__ == "__main__":
    main()
