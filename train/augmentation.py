"""Training images that are flipped, cropped and recoloured at random."""

import tensorflow as tf

_SHIFT = 0.1  # of the height and width
_ZOOM = 0.2
_BRIGHTNESS = 0.15 * 255
_CONTRAST = 0.15


def augmented(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a changed image: uint8 (H, W, C) → uint8 (H, W, C). The seed, int64 (2,), decides everything."""
    height, width, channels = image.shape
    flip, size, place, brightness, contrast = tf.unstack(tf.random.split(seed, 5))
    image = tf.image.stateless_random_flip_left_right(tf.cast(image, tf.float32), flip)
    borders = [[int(_SHIFT * height)] * 2, [int(_SHIFT * width)] * 2, [0, 0]]
    image = tf.pad(image, borders, "REFLECT")
    share = tf.random.stateless_uniform((), size, 1 - _ZOOM, 1)
    sides = tf.cast(tf.round(share * tf.constant([height, width], tf.float32)), tf.int32)
    image = tf.image.stateless_random_crop(image, tf.concat([sides, [channels]], 0), place)
    image = tf.image.resize(image, (height, width))
    image = tf.image.stateless_random_brightness(image, _BRIGHTNESS, brightness)
    image = tf.image.stateless_random_contrast(image, 1 - _CONTRAST, 1 + _CONTRAST, contrast)
    return tf.ensure_shape(tf.saturate_cast(tf.round(image), tf.uint8), (height, width, channels))
