#!/usr/bin/python3
"""Golden values for tests/test_roi_pool.cpp. Run by hand: /usr/bin/python3 tests/golden/roi_pool.py > tests/golden/roi_pool.h

torchvision's roi_pool and its gradient on 1,000 regions, 100 for each of ten settings. Map, regions and the gradient
that comes in follow from formulas that the test repeats; map and gradient are integers, so that every sum is exact.
Among the regions are empty, inverted, outside and repeated ones, and the map has many ties. None is of an extent at
which torchvision's bin edges, floats, end a cell too late (57, 114, ... for 7 bins); the test has one of those by itself.
"""
import torch
import torchvision
import torchvision.ops as ops

N, H, W, C, R = 3, 9, 11, 2, 100
SETTINGS = [(7, 7, 1), (2, 2, 1), (3, 2, 1), (1, 1, 1), (6, 6, 0.5), (2, 3, 0.5), (7, 7, 0.25), (3, 3, 0.25),
            (5, 4, 0.0625), (1, 2, 0.0625)]


def hashed(i):
    """A 32-bit mixture of i."""
    v = (i * 2654435761 + 12345) % 2**32
    v ^= v >> 15
    v = v * 2246822519 % 2**32
    return v ^ v >> 13


def corner(i, size, scale):
    """From 30 % before the map to 30 % behind it, in halves of a pixel."""
    span = int(size / scale * 3.2)
    return (hashed(i) % span) / 2 - size / scale * 0.3


def ints(t):
    return '{' + ','.join('%g' % v for v in t.reshape(-1).tolist()) + '}'


def inputs(s, scale):
    x = torch.tensor([hashed(7 * i + s) % 23 - 11 for i in range(N * H * W * C)], dtype=torch.float32)
    x = x.reshape(N, H, W, C).permute(0, 3, 1, 2).contiguous().requires_grad_()
    rois = torch.tensor([[hashed(1000 * s + r) % N] + [corner(10000 * (s + 1) + 4 * r + k, W if k % 2 == 0 else H, scale)
                                                       for k in range(4)] for r in range(R)], dtype=torch.float32)
    for r in range(0, R, 3):  # a third as most regions are: the corners in order
        for k in (1, 2):
            low, high = sorted((rois[r, k].item(), rois[r, k + 2].item()))
            rois[r, k], rois[r, k + 2] = low, high
    return x, rois


def backward(y, s):
    """From a gradient that the test repeats."""
    n, c, h, w = y.shape
    dy = torch.tensor([hashed(3 * i + s) % 9 - 4 for i in range(y.numel())], dtype=torch.float32)
    y.backward(dy.reshape(n, h, w, c).permute(0, 3, 1, 2))


def main():
    print('// Made by tests/golden/roi_pool.py with torchvision %s. clang-format off' % torchvision.__version__)
    print('const std::vector<GoldenRoiPool> kGoldenRoiPool = {')
    for s, (oh, ow, scale) in enumerate(SETTINGS):
        x, rois = inputs(s, scale)
        y = ops.roi_pool(x, rois, (oh, ow), scale)
        backward(y, s)
        print('    {%d, %d, %g,\n     %s,\n     %s},' % (oh, ow, scale, ints(y.detach().permute(0, 2, 3, 1)),
                                                       ints(x.grad.permute(0, 2, 3, 1))))
    print('};\n// clang-format on')


if __name__ == '__main__':
    main()
