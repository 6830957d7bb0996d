"""How each measure is defined, in words, and the table of results that people read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HOW = {
    "fid": "Frechet distance of the Gaussians of Inception features",
    "kid": "100 times the unbiased estimate with the kernel (x.y / 2048 + 1)^3 of Inception features, over all "
    "pictures; of subsets: 100 pairs of 1000 pictures, or of half of the smaller set where that is less; mean with "
    "inputs: the mean of KID to the reference and KID to the inputs, which U-GAT-IT's paper prints as KID (the same "
    "estimate, which for a set and itself is a little below zero)",
    "precision_recall": "k-NN manifolds, k = 3, in Inception features (the paper's are VGG16's fc2)",
    "match": "share of the pictures whose own input is the nearest of all inputs, by the cosine of Inception features, "
    "each set centred on its own mean; rank: the median place of the own input among all, 1 at best",
    "lpips_diversity": "mean LPIPS (version 0.1, VGG16) of neighbours in a random circle of the set's pictures, 1000 "
    "pairs at most; centred squares at 128 x 128",
    "ssim": "Gaussian window 11 x 11, sigma 1.5, no bias correction, no padding, mean of R, G and B and of pairs",
    "psnr": "dB at peak 255 over R, G and B, mean of pairs; null where a pair is equal",
    "l1": "mean absolute difference in grey levels of 255",
    "lpips": "LPIPS (version 0.1, VGG16), mean of pairs",
    "flicker": "mean over pixels of the change between neighbouring frames in grey levels of 255, beyond the largest "
    "change of the input at the pixel and its eight neighbours; frames in the order of their names",
    **{
        f"ppl_{space}{sampling}": f"perceptual path length in {space}, {where}: LPIPS (version 0.1, VGG16) / "
        "epsilon^2, epsilon 1e-4, mean between the 1st and the 99th percentile; fixed noise, 256 px at most"
        for space in "zw"
        for sampling, where in (("full", "anywhere on the path"), ("end", "at its beginning"))
    },
    "separability": "2^(sum over attributes of H(attribute | side of a linear SVM's plane)), in bits, of the surer "
    "half of the pictures; attributes by logistic regression on colours and LPIPS' maps of labelled pictures",
}
TITLES = {
    "fid": "FID",
    "kid": "KID x 100",
    "kid_subsets": "of subsets",
    "kid_mean": "mean with inputs",
    "precision": "precision",
    "recall": "recall",
    "match": "match",
    "match_rank": "rank",
    "lpips_diversity": "diversity",
    "ssim": "SSIM",
    "psnr": "PSNR dB",
    "l1": "L1",
    "lpips": "LPIPS",
    "flicker": "flicker",
    "ppl_zfull": "PPL z full",
    "ppl_zend": "PPL z end",
    "ppl_wfull": "PPL w full",
    "ppl_wend": "PPL w end",
    "separability_z": "separability z",
    "separability_w": "separability w",
}
# Decimals in the table, 3 for others.
DIGITS = {
    "fid": 2,
    "match": 2,
    "match_rank": 1,
    "psnr": 2,
    "l1": 2,
    "flicker": 2,
    "ppl_zfull": 1,
    "ppl_zend": 1,
    "ppl_wfull": 1,
    "ppl_wend": 1,
}
HIGHER = {"precision_recall": "precision and recall", "match": "match", "ssim": "SSIM", "psnr": "PSNR"}


def better(metrics: Sequence[str]) -> str:
    """Says of which measures a high figure is good, and of which a low one."""
    higher = [HIGHER[metric] for metric in metrics if metric in HIGHER]
    text = "lower is better" + (f" but for {', '.join(higher)}, where higher is" if higher else "")
    return f"{text}; diversity should be the reference's" if "lpips_diversity" in metrics else text


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The results in aligned columns, one for each measure that any of the rows has."""
    measured = [key for key in TITLES if any(key in row for row in rows)]
    lines = [["", "pictures", *(TITLES[key] for key in measured)]]
    lines += [[row["name"], str(row["count"]), *(_cell(row, key) for key in measured)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cell(row: dict[str, Any], key: str) -> str:
    """The figure `key` of a row as text: empty where the row has none, inf where it is null."""
    if key not in row:
        return ""
    if key == "kid_subsets":
        return f"{row[key]['mean']:.3f} +- {row[key]['deviation']:.3f}"
    return "inf" if row[key] is None else f"{row[key]:.{DIGITS.get(key, 3)}f}"
