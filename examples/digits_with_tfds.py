"""Digits, in a project that knows nothing of imageshards: `python examples/digits_with_tfds.py data`.

`imageshards-records raw/digits --size 28 --color gray --encoding png` made the dataset; here it is loaded by TFDS and
nothing else, scaled, shuffled, batched, and learned by plain Keras until its validation loss stops falling.
"""

import sys

import keras
import tensorflow as tf
import tensorflow_datasets as tfds

(train, validation, test), info = tfds.load(
    "digits",
    data_dir=sys.argv[1],
    split=["train[:90%]", "train[90%:]", "test"],
    as_supervised=True,
    with_info=True,
)


def scaled(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the image from 0 to 1."""
    return tf.cast(image, tf.float32) / 255, label


train = train.map(scaled).cache().shuffle(info.splits["train"].num_examples).batch(100).prefetch(2)
validation = validation.map(scaled).batch(1000)
model = keras.Sequential(
    [
        keras.Input(info.features["image"].shape),
        keras.layers.Flatten(),
        keras.layers.Dense(50, "relu"),
        keras.layers.Dense(50, "relu"),
        keras.layers.Dense(info.features["label"].num_classes, "softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
model.fit(train, validation_data=validation, epochs=20, callbacks=[stop], verbose=2)
loss, accuracy = model.evaluate(test.map(scaled).batch(1000), verbose=0)
print(f"test: {accuracy:.1%}")
