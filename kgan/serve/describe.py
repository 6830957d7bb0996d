"""What the page shows of a filter, read from its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kgan.filters.card import Card
from kgan.serve import examples
from kgan.serve.models import Source


def describe(name: str, source: Source, card: Card) -> dict[str, Any]:
    """An entry of `GET /v1/filters`.

    * name; title: in words; kind: "image", "labels" for a filter that takes a label, "latent" for a generator of noise;
    * labels: of each group its name, set and values, in the card's order; optional: groups may be left out;
    * image_size: pixels a side as it was trained; size: [height, width] where the model file takes that alone;
    * subject: "face" for a filter of faces; crop: how photos are cut for it;
    * figures: what was measured of it; bytes: of the model file;
    * card, model, picture: where they are, None where there is none.
    """
    kind = "latent" if card.kind == "generator" else "labels" if card.labels else "image"
    places = list(card.labels.places()) if card.labels else []
    labels = [
        {"name": place.group.name, "set": card.labels.sets[place.set].name, "values": list(place.group.answers)}
        for place in places
        if card.labels
    ]
    size = _bytes(source.tflite)
    base = f"/v1/filters/{name}"
    return {
        "name": name,
        "title": name.replace("_", " ").capitalize(),
        "kind": kind,
        "labels": labels,
        "optional": bool(card.labels and card.labels.optional),
        "image_size": card.image_size,
        "size": list(card.size) if card.size else None,
        "subject": "face" if card.crop == "face" else None,
        "crop": card.crop,
        "figures": (card.training.get("reached") or {}).get("measured") or {},
        "bytes": size,
        "card": f"{base}/card",
        "model": f"{base}/model" if size else None,
        "picture": f"{base}/picture" if examples.has_one(source, card) else None,
    }


def _bytes(file: Path | None) -> int | None:
    """Of a file; None where it has been taken away since the folder was looked at."""
    try:
        return file.stat().st_size if file else None
    except OSError:
        return None
