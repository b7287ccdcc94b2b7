"""Terms of the pages: what they mean, on hover and in the glossary at the end of a page."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

TERMS = {
    "AP": "Average precision, from 0 to 1: how many objects a network finds with how few false detections, "
    "and how exactly its boxes fit (mean over IoU 0.5 to 0.95). A point is 0.01.",
    "AP@0.5": "Average precision where a box counts as correct from an overlap (IoU) of 0.5 on.",
    "Epochs": "An epoch is one pass over all training images. A network counts those of all stages that its "
    "weights went through.",
    "MACs": "Multiply-accumulates: the multiplications, each with an addition, that the network needs for "
    "one image. Fewer MACs need less time and energy.",
    "p50": "The median time for one image: half of the measured times were shorter.",
    "IoU": "Intersection over union: the common area of two boxes divided by the area that they cover "
    "together. 1 is a perfect fit.",
    "F1": "The harmonic mean of precision and recall.",
    "int8": "A network that is stored and computed in whole numbers of 8 bits instead of 32-bit floating "
    "point. The file of a large network has about a quarter of the size, that of a tiny one may be larger.",
}
"""Terms that a page links to its glossary wherever they stand."""

WORDS = {
    "Confidence": "The score from 0 to 1 that a network gives each detection. A page shows detections from "
    "a confidence threshold on.",
    "Precision": "The share of the detections that are correct.",
    "Recall": "The share of the labelled objects that are found.",
    "dense": "The network before pruning, fully trained.",
    "sparse": "The network after sparsity training, which pushes unimportant channels towards zero.",
    "pruned": "The network right after channels were removed.",
    "slim": "The result: pruned and fine-tuned. Its files are called slim as well; the folder of its "
    "training is called finetuned.",
    "95 % interval": "The range in which the difference lies in 95 of 100 random draws of the images. It "
    "says nothing about other seeds.",
}
"""Further entries of the glossary."""

_LINKED = re.compile(
    "|".join(rf"(?<![\w@.&#]){re.escape(term)}(?![\w@])" for term in sorted(TERMS, reverse=True))
)


def linked(text: str) -> Markup:
    """Returns escaped text in which each term shows its meaning on hover and leads to the glossary."""
    return Markup(_LINKED.sub(lambda found: _link(found[0]), str(escape(text))))


def glossary() -> list[tuple[str, str, str]]:
    """Returns the entries of the glossary: id, or nothing where no text leads there, term and meaning."""
    return [
        *((term_id(term), term, text) for term, text in TERMS.items()),
        *(("", *row) for row in WORDS.items()),
    ]


def term_id(term: str) -> str:
    """Returns the id of a term in the glossary."""
    return "term-" + re.sub(r"\W+", "-", term.lower())


def _link(term: str) -> str:
    return f'<a class="term" href="#{term_id(term)}" title="{escape(TERMS[term])}">{term}</a>'
