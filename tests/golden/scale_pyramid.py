#!/usr/bin/python3
"""Which scale a region is looked at, for tests/test_scale_pyramid.cpp: the rule of section 4.1 of
SPPnet in the form of Fast R-CNN's code, |area * s^2 - 224^2|, written out again in numpy."""
import numpy as np

rng = np.random.RandomState(3)
width, height = 500, 375
sides = np.array([480, 576, 688, 864, 1200])
factors = np.minimum(sides / min(width, height), 2000 / max(width, height))
print("factors", ", ".join("%.6f" % f for f in factors))
corners = rng.randint(0, 200, (16, 2))
extents = np.exp(rng.uniform(np.log(60), np.log(260), (16, 2))).round()
boxes = np.hstack([corners, corners + extents]).astype(int)
area = extents[:, 0] * extents[:, 1]
chosen = np.abs(area[:, None] * factors**2 - 224**2).argmin(axis=1)
for box in boxes:
    print("  %s," % ", ".join(str(v) for v in box))
print("scales", ", ".join(str(c) for c in chosen))
wide = np.minimum(sides / 300, 2000 / 900)
print("300 x 900:", ", ".join("%.6f" % f for f in wide))
