"""What people call the columns of their tables, and the values that say yes, no, and which split."""

import re

# In the order of preference, in small letters and without what is not a letter.
FILE = (
    *("filename", "file", "filepath", "path", "imagepath", "imagefile", "imagefilename", "image", "img", "imagename"),
    *("imageid", "imgid", "imgpath", "imgname", "gcspath", "imagegcsuri", "imageuri", "imageurl", "sourceref", "uri"),
    *("url", "photo", "picture", "name", "idcode", "id", "bild", "datei", "fichier", "archivo", "foto", "imagen"),
)
LABEL = (
    *("label", "labels", "labelname", "class", "classname", "classlabel", "category", "categoryname", "target"),
    *(
        "groundtruth",
        "gt",
        "choice",
        "choices",
        "tagname",
        "breed",
        "species",
        "diagnosis",
        "dx",
        "finding",
        "findings",
        "findinglabel",
        "findinglabels",
        "imagelabel",
        "imageclass",
        "labeltext",
        "labelstr",
        "disease",
        "variety",
        "tags",
        "tag",
        "klasse",
        "classe",
    ),
    *("clase", "categoria", "kategorie", "etikett", "etiquette", "etiqueta", "etichetta", "kategoria", "klass", "klas"),
    *("标签", "类别", "ラベル", "クラス", "레이블", "метка", "класс", "labelid", "classid", "categoryid"),
)
SPLIT = (
    "split",
    "set",
    "subset",
    "mluse",
    "partition",
    "usage",
    "phase",
    "fold",
    "dataset",
    "datasplit",
    "datasettype",
)
GROUP = re.compile(
    r"(group|patient|subject|participant|person|individual|specimen|animal|donor|lesion|case|slide|session|sequence)"
    r"(id|no|number|name)?"
)
FLAGS: dict[str, tuple[str, str]] = {  # what 1 and what 0 mean
    **dict.fromkeys(("isvalid", "isval", "isvalidation"), ("validation", "train")),
    **dict.fromkeys(("istrain", "istraining", "istrainingimage"), ("train", "test")),
    "istest": ("test", "train"),
}
NUMBERED_SPLITS = {"0": "train", "1": "validation", "2": "test"}
"""What numbers of splits mean, as in CelebA and others, where there are three."""

FOLD = ("fold", "folds", "kfold", "cvfold", "foldid")
MEASURE = re.compile(
    r"(x|y|w|h|xmin|xmax|ymin|ymax|(image|img)?(width|height|size)|age|weight|length|area|price|score|rating|count"
    r"|lat|latitude|lon|lng|longitude|year|month|day|date|time|timestamp|createdat|updatedat|confidence|leadtime"
    r"|annotator|annotationid|bytes|md5|sha1|sha256|hash|url|comment|notes?|caption|description|text|title|license"
    r"|author|camera|iso|exposure|index|row|number)"
)
TRUE, FALSE = frozenset(("1", "1.0", "true", "yes", "t", "y")), frozenset(("0", "0.0", "false", "no", "f", "n", ""))
NUMBER = re.compile(r"[-+]?\d+([.,]\d*)?([eE][-+]?\d+)?")
UNASSIGNED = frozenset(("", "unassigned", "none", "nan", "-"))
DISCARD = frozenset(("discard", "discarded", "ignore", "ignored", "exclude", "excluded", "unused", "skip"))
