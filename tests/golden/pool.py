#!/usr/bin/python3
"""Golden values for tests/test_pool.cpp. Run by hand: /usr/bin/python3 tests/golden/pool.py > tests/golden/pool.h

PyTorch computes in double, on NCHW; everything is printed in boxgrad's axes, row-major. The inputs follow from a
formula, so that only results are stored.
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


CASES = [  # kind, x [N, H, W, C], kernel (or out), stride, padding, ceil_mode, count_include_pad
    ('max', (2, 4, 6, 3), (2, 2), (2, 2), (0, 0), False, True),
    ('max', (1, 5, 7, 2), (2, 2), (2, 2), (0, 0), False, True),
    ('max', (1, 5, 7, 2), (2, 2), (2, 2), (0, 0), True, True),
    ('max', (1, 6, 5, 2), (3, 3), (1, 1), (1, 1), False, True),
    ('max', (1, 7, 8, 1), (3, 2), (2, 3), (1, 0), True, True),
    ('max', (1, 7, 7, 1), (2, 2), (3, 3), (1, 1), True, True),  # the last window would start behind the map
    ('avg', (2, 4, 6, 3), (2, 2), (2, 2), (0, 0), False, True),
    ('avg', (1, 6, 5, 2), (3, 3), (2, 1), (1, 1), False, True),
    ('avg', (1, 6, 5, 2), (3, 3), (2, 2), (1, 1), True, True),
    ('avg', (1, 6, 5, 2), (3, 2), (2, 3), (1, 1), True, False),
    ('adaptive', (1, 5, 7, 2), (3, 2), (0, 0), (0, 0), False, True),
    ('adaptive', (2, 3, 4, 3), (1, 1), (0, 0), (0, 0), False, True),
    ('adaptive', (1, 2, 3, 1), (4, 5), (0, 0), (0, 0), False, True),
]


def braces(t):
    return '{' + ', '.join('%.9g' % v for v in t.reshape(-1).tolist()) + '}'


def shape(t):
    return '{' + ', '.join(map(str, t)) + '}'


print('#pragma once')
print('// Printed by tests/golden/pool.py (PyTorch %s); do not edit.' % torch.__version__)
print('// clang-format off')
print('inline const GoldenPool kGoldenPool[] = {')
for kind, xs, kernel, stride, padding, ceil, include in CASES:
    x = numbers(xs, 1).requires_grad_()
    nchw = x.permute(0, 3, 1, 2)
    if kind == 'max':
        y = F.max_pool2d(nchw, kernel, stride, padding, ceil_mode=ceil)
    elif kind == 'avg':
        y = F.avg_pool2d(nchw, kernel, stride, padding, ceil_mode=ceil, count_include_pad=include)
    else:
        y = F.adaptive_avg_pool2d(nchw, kernel)
    y = y.permute(0, 2, 3, 1)
    y.backward(numbers(tuple(y.shape), 4))
    flag = lambda b: 'true' if b else 'false'
    print(f'    {{"{kind}", {shape(xs)}, {shape(kernel)}, {shape(stride)}, {shape(padding)}, {flag(ceil)}, {flag(include)},')
    print(f'     {shape(y.shape)},')
    print(f'     {braces(y.detach())},')
    print(f'     {braces(x.grad)}}},')
print('};')
print('// clang-format on')
