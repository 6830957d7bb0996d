"""What people look at: tables as text, bars as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

HEIGHT, LENGTH = 24, 420  # pixels: of a bar's row, of the longest bar
BLUE, RED = "#4c78a8", "#e45756"


def table(rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Rows of cells as lines, columns aligned: the first `words` to the left, the others, numbers, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{'<' if i < words else '>'}{widths[i]}}" for i, cell in enumerate(row)) for row in rows
    )


class Bar(NamedTuple):
    """A row of a chart.

    Attributes:
      label: what stands before the bar; caption: what stands behind it.
      value: how long it is.
      span: where a black line over it begins and ends.
      good: whether it is blue, and not red.
    """

    label: str
    caption: str
    value: float
    span: tuple[float, float]
    good: bool = True


def bars(rows: Sequence[Bar]) -> np.ndarray:
    """A chart, uint8 [H, W, 3]: a bar a row, all to one scale."""
    left = 8 + 7 * max(len(row.label) for row in rows)
    right = 16 + 7 * max(len(row.caption) for row in rows)
    page = Image.new("RGB", (left + LENGTH + right, HEIGHT * len(rows) + 16), "white")
    pen, scale = ImageDraw.Draw(page), LENGTH / (max(max(row.value, *row.span) for row in rows) or 1)
    for i, row in enumerate(rows):
        top, middle = 8 + i * HEIGHT, 8 + i * HEIGHT + HEIGHT // 2
        low, high = (left + side * scale for side in row.span)
        pen.text((8, top + 5), row.label, fill="black")
        if row.value > 0:
            pen.rectangle((left, top + 4, left + row.value * scale, top + HEIGHT - 4), fill=BLUE if row.good else RED)
        pen.line((low, middle, high, middle), fill="black", width=2)
        pen.line((high, top + 4, high, top + HEIGHT - 4), fill="black", width=1)
        pen.text((left + max(row.value, *row.span) * scale + 6, top + 5), row.caption, fill="black")
    return np.asarray(page)
