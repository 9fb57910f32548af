#!/usr/bin/python3
"""Golden values for tests/test_conv.cpp. Run by hand: /usr/bin/python3 tests/golden/conv.py > tests/golden/conv.h

PyTorch computes in double, on NCHW; everything is printed in boxgrad's axes (maps NHWC, filters [KH, KW, C_in/groups,
C_out]), row-major. The inputs follow from a formula, so that only results are stored.
"""
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def numbers(shape, seed):
    """((37 i + 11 seed) mod 101 - 50) / 50, as the test makes them."""
    n = 1
    for extent in shape:
        n *= extent
    i = torch.arange(n)
    return (((37 * i + 11 * seed) % 101 - 50).double() / 50).reshape(shape)


CASES = [  # name, x [N, H, W, C], KH, KW, C_out, stride, (top, bottom, left, right), dilation, groups, activation
    ('plain_3x3', (2, 4, 5, 3), 3, 3, 4, (1, 1), (1, 1, 1, 1), (1, 1), 1, 'none'),
    ('stride_asymmetric_relu', (1, 7, 6, 2), 3, 2, 3, (2, 1), (0, 1, 2, 0), (1, 1), 1, 'relu'),
    ('dilation_groups_relu6', (1, 7, 8, 4), 2, 3, 6, (1, 2), (2, 2, 3, 3), (2, 3), 2, 'relu6'),
    ('pointwise_relu', (2, 3, 4, 5), 1, 1, 3, (1, 1), (0, 0, 0, 0), (1, 1), 1, 'relu'),
    ('pointwise_stride', (2, 5, 4, 3), 1, 1, 4, (2, 2), (0, 0, 0, 0), (1, 1), 1, 'none'),
    ('depthwise', (2, 5, 4, 3), 3, 3, 3, (1, 1), (1, 1, 1, 1), (1, 1), 3, 'none'),
    ('depthwise_stride_relu6', (1, 6, 7, 4), 3, 3, 4, (2, 2), (1, 1, 1, 1), (1, 1), 4, 'relu6'),
]


def braces(t):
    return '{' + ', '.join('%.9g' % v for v in t.reshape(-1).tolist()) + '}'


print('#pragma once')
print('// Printed by tests/golden/conv.py (PyTorch %s); do not edit.' % torch.__version__)
print('// clang-format off')
print('inline const GoldenConv kGoldenConv[] = {')
for name, xs, kh, kw, co, stride, pad, dilation, groups, activation in CASES:
    x, w, b = numbers(xs, 1), numbers((kh, kw, xs[3] // groups, co), 2), numbers((co,), 3)
    x, w, b = (t.requires_grad_() for t in (x, w, b))
    top, bottom, left, right = pad
    padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    y = F.conv2d(padded, w.permute(3, 2, 0, 1), b, stride, 0, dilation, groups)
    y = {'none': lambda t: t, 'relu': F.relu, 'relu6': F.relu6}[activation](y)
    y = y.permute(0, 2, 3, 1)
    dy = numbers(tuple(y.shape), 4)
    y.backward(dy)
    shape = lambda t: '{' + ', '.join(map(str, t)) + '}'
    print(f'    {{"{name}", {shape(xs)}, {shape(w.shape)},')
    print(f'     {{.stride = {shape(stride)}, .padding = {shape(pad)}, .dilation = {shape(dilation)}, '
          f'.groups = {groups}, .activation = Activation::{activation}}},')
    print(f'     {shape(y.shape)},')
    for t in (y.detach(), x.grad, w.grad):
        print(f'     {braces(t)},')
    print(f'     {braces(b.grad)}}},')
print('};')
print('// clang-format on')
