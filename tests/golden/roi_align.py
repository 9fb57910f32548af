#!/usr/bin/python3
"""Golden values for tests/test_roi_align.cpp. Run by hand: /usr/bin/python3 tests/golden/roi_align.py > tests/golden/roi_align.h

torchvision's roi_align and its gradient on 500 regions, 100 for each of five settings: map and regions of roi_pool.py,
corners down to eighths of a pixel so that no number of points hangs on a rounding error. In the third setting all corners are in order, as torchvision throws when an aligned region without sampling_ratio is inverted.
"""
import torch
import torchvision
import torchvision.ops as ops
from roi_pool import backward, inputs

# out_h, out_w, scale, sampling_ratio, aligned
SETTINGS = [(2, 2, 1, 2, True), (2, 2, 1, 2, False), (3, 2, 0.5, -1, True), (1, 3, 0.25, -1, False), (2, 1, 1, 3, True)]


def numbers(t):
    return '{' + ','.join('%.7g' % v for v in t.reshape(-1).tolist()) + '}'


print('// Made by tests/golden/roi_align.py with torchvision %s. clang-format off' % torchvision.__version__)
print('const std::vector<GoldenRoiAlign> kGoldenRoiAlign = {')
for s, (oh, ow, scale, sampling, aligned) in enumerate(SETTINGS):
    x, rois = inputs(s, scale)
    rois[:, 1:] = torch.floor(rois[:, 1:] * 8) / 8
    if sampling < 0 and aligned:
        rois[:, 1:3], rois[:, 3:] = torch.minimum(rois[:, 1:3], rois[:, 3:]), torch.maximum(rois[:, 1:3], rois[:, 3:])
    y = ops.roi_align(x, rois, (oh, ow), scale, sampling, aligned)
    backward(y, s)
    print('    {%d, %d, %g, {%d, %s},\n     %s,\n     %s},' % (oh, ow, scale, sampling, str(aligned).lower(),
                                                            numbers(y.detach().permute(0, 2, 3, 1)),
                                                            numbers(x.grad.permute(0, 2, 3, 1))))
print('};\n// clang-format on')
