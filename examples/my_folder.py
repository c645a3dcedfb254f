"""A folder of pictures to a classifier: `python examples/my_folder.py photos new_photo.jpg`."""

import sys

from imageshards.pipeline import make_records
from imageshards.train import train

folder, photo = sys.argv[1:]
version = make_records(folder, dataset="my_folder")
run = train("my_folder")
print({split: str(accuracy) for split, accuracy in run.accuracy.items()})
print(run.predict([photo])[0].names)
print(f"{version.path / 'report.html'}\n{run.path / 'report.html'}")
