"""From a TFDS dataset to a classifier. The data flows one way, a file a step:

    input      dataset            → batches of uint8 images and labels
    models     backbone, head     → a Keras model that takes the stored uint8 images
    features   images             → what a frozen backbone makes of them, once
    fit        features or images → the trained model
    evaluate   model, splits      → metrics, and every prediction with its source file
    export     run                → SavedModel, TFLite
    predict    run, raw photos    → names and probabilities, by the records' own normalization

`__main__` trains, and writes runs/<dataset>-<model>/.
"""
