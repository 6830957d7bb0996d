"""The demo's page: pictures, curves and files in one HTML file that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kgan.pictures import images

if TYPE_CHECKING:
    from kgan.export.verify import Measurement

CURVES = {
    "l1": "G: distance from the true colours, weighted",
    "adversarial": "G: what D says against it",
    "discriminator": "D: real against made",
}
WIDTH, HEIGHT, MARGIN = 320, 120, 6  # of a curve

STYLE = """
:root { color-scheme: light dark; --text: #24292f; --soft: #6e7781; --page: #ffffff; --line: #0f766e; --edge: #d8dee4; }
@media (prefers-color-scheme: dark) {
  :root { --text: #d7dde3; --soft: #8b949e; --page: #14181d; --line: #5eead4; --edge: #30363d; }
}
body { max-width: 62rem; margin: 3rem auto; padding: 0 1.2rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-weight: 600; } h2 { font-size: 1.1rem; margin-top: 2.5rem; } p, figcaption, th { color: var(--soft); }
a { color: var(--line); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
.curves { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; } figcaption { font-size: .85rem; }
.triple { display: flex; gap: 2px; background: #fff; border: 1px solid var(--edge); border-radius: 8px; padding: 4px; }
.triple img { width: 33%; }
svg { width: 100%; max-width: 20rem; border: 1px solid var(--edge); border-radius: 8px; }
polyline { fill: none; stroke: var(--line); stroke-width: 1.5; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .25rem 1.2rem .25rem 0; font-weight: 400; }
"""


def page(
    pictures: Sequence[Sequence[np.ndarray]],
    names: Sequence[str],
    log: Path,
    measurements: Sequence[Measurement],
    facts: str,
) -> str:
    """The page as HTML, complete in itself.

    Args:
      pictures: of each emoji input, output and truth, uint8 [H, W, 3].
      names: of the emoji.
      log: log.jsonl of the training.
      measurements: the exported files against Keras.
      facts: a sentence for the top.
    """
    triples = "\n".join(_triple(triple, name) for triple, name in zip(pictures, names, strict=True))
    curves = "\n".join(_curve(title, points) for title, points in _terms(log).items())
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kgan: colours for grey emoji</title>
<style>{STYLE}</style>
<h1>Colours for grey emoji</h1>
<p>{html.escape(facts)}</p>
<h2>All {len(pictures)} emoji that the training never saw: grey, coloured, true</h2>
<div class="pictures">
{triples}
</div>
<h2>The training</h2>
<div class="curves">
{curves}
</div>
<p><a href="run/log.jsonl">log.jsonl</a> · <a href="run/samples/">sample sheets</a></p>
<h2>The exported files, compared with Keras</h2>
<table>
<tr><th>file<th>MB<th>PSNR<th>
{"".join(map(_row, measurements))}
</table>
<p>PSNR at peak 2, the range of a picture in [-1, 1]. <a href="exported/verification.json">verification.json</a> has
more.</p>
<p>The emoji are Microsoft's Fluent Emoji, 3D style (MIT License).</p>
</html>
"""


def _triple(triple: Sequence[np.ndarray], name: str) -> str:
    pictures = "".join(
        f'<img src="data:image/webp;base64,{base64.b64encode(images.encode(picture, ".webp")).decode()}" alt="{kind}">'
        for picture, kind in zip(triple, ("grey", "coloured", "true"), strict=True)
    )
    caption = html.escape(name.replace("_", " ").replace("-", " "))
    return f'<figure><div class="triple">{pictures}</div><figcaption>{caption}</figcaption></figure>'


def _terms(log: Path) -> dict[str, np.ndarray]:
    """Title to the points of each curve, [N, 2]: step and value."""
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    points = {
        title: np.array([(line["step"], line[term]) for line in lines if term in line])
        for term, title in CURVES.items()
    }
    return {title: array for title, array in points.items() if len(array)}


def _curve(title: str, points: np.ndarray) -> str:
    """Draw a curve, its axis beginning at zero, as inline SVG."""
    last, top = points[-1, 0], points[:, 1].max() or 1.0
    x = MARGIN + (WIDTH - 2 * MARGIN) * points[:, 0] / last
    y = HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * points[:, 1] / top
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f'<polyline points="{line}"/></svg>'
        f"<figcaption>{html.escape(title)}<br>0 to {top:.3g}; at last {points[-1, 1]:.3g}, after {last:,.0f} steps"
        "</figcaption></figure>"
    )


def _row(measured: Measurement) -> str:
    file = html.escape(measured.file)
    name = file if measured.problems else f'<a href="exported/{file}">{file}</a>'
    psnr = "" if measured.psnr is None else f"{measured.psnr:.1f} dB"
    verdict = "refused: " + html.escape("; ".join(measured.problems)) if measured.problems else "holds"
    return f"<tr><td>{name} {html.escape(measured.signature)}<td>{measured.bytes / 1e6:.2f}<td>{psnr}<td>{verdict}\n"
