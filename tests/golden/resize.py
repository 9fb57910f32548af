#!/usr/bin/env python3
"""Golden values for tests/test_resize.cpp. Run by hand: /usr/bin/python3 tests/golden/resize.py

The input is [5, 4, 2] with x[i] = (37 i mod 101) / 100 in memory order.
"""
import numpy as np
import torch
import torch.nn.functional as F


def picture(h, w, c):
    return torch.tensor([(37 * i % 101) / 100 for i in range(h * w * c)],
                        dtype=torch.float64).reshape(h, w, c)


def show(name, y):
    print(f"// {name}: {list(y.shape)}")
    print("{" + ", ".join(f"{v:.6g}" for v in y.flatten().tolist()) + "}")


def torch_resize(x, size, **options):
    return F.interpolate(x.permute(2, 0, 1)[None], size, **options)[0].permute(1, 2, 0)


def top_left(x, height, width):
    """TensorFlow 1's rule, written from its definition."""
    h, w, _ = x.shape
    y = np.zeros((height, width, x.shape[2]))
    for i in range(height):
        for j in range(width):
            r, s = i * h / height, j * w / width
            r0, s0 = int(r), int(s)
            r1, s1 = min(r0 + 1, h - 1), min(s0 + 1, w - 1)
            a, b = r - r0, s - s0
            y[i, j] = ((1 - a) * (1 - b) * x[r0, s0] + (1 - a) * b * x[r0, s1] +
                       a * (1 - b) * x[r1, s0] + a * b * x[r1, s1])
    return torch.tensor(y)


x = picture(5, 4, 2)
bilinear = dict(mode="bilinear", align_corners=False)
show("half_pixel 3 x 6", torch_resize(x, (3, 6), **bilinear))
show("half_pixel 7 x 3", torch_resize(x, (7, 3), **bilinear))
show("half_pixel 1 x 1", torch_resize(x, (1, 1), **bilinear))
show("align_corners 3 x 6", torch_resize(x, (3, 6), mode="bilinear", align_corners=True))
show("align_corners 1 x 3", torch_resize(x, (1, 3), mode="bilinear", align_corners=True))
show("top_left 3 x 6", top_left(x.numpy(), 3, 6))
show("area of [6, 8, 1] 3 x 2", torch_resize(picture(6, 8, 1), (3, 2), mode="area"))
