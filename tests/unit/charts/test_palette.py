"""The series are told apart by everybody, on the ground that they are made for."""

from __future__ import annotations

import itertools

import pytest

from hishamos.charts.palette import BOTH, DARK, LIGHT

# Machado, Oliveira, Fernandes: A physiologically-based model for simulation of color vision deficiency (2009), severity 1.
SIGHTS = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopic": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopic": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopic": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
RGB = tuple[float, float, float]


def linear(colour: str) -> RGB:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return red, green, blue


def lab(colour: str, sight: tuple[RGB, RGB, RGB]) -> RGB:
    seen = [min(1.0, max(0.0, sum(weight * share for weight, share in zip(row, linear(colour), strict=True)))) for row in sight]
    white = ((0.4124564, 0.3575761, 0.1804375, 0.95047), (0.2126729, 0.7151522, 0.072175, 1.0), (0.0193339, 0.119192, 0.9503041, 1.08883))
    parts = [sum(weight * share for weight, share in zip(row, seen, strict=False)) / row[3] for row in white]
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in parts)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def contrast(one: str, other: str) -> float:
    low, high = sorted(sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("series", [LIGHT, DARK, BOTH])
def test_no_two_series_look_alike(series: tuple[str, ...], sight: str) -> None:
    seen = [lab(colour, SIGHTS[sight]) for colour in series]
    assert min(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 for one, other in itertools.combinations(seen, 2)) >= 13


@pytest.mark.parametrize(("series", "grounds"), [(LIGHT, ["#FCFBF8"]), (DARK, ["#101413"]), (BOTH, ["#FFFFFF", "#111111"])])
def test_series_stand_out_from_their_ground(series: tuple[str, ...], grounds: list[str]) -> None:
    assert min(contrast(colour, ground) for colour in series for ground in grounds) >= 2.6
