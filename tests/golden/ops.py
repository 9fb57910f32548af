#!/usr/bin/python3
"""Golden values for tests/test_ops.cpp. Run by hand: /usr/bin/python3 tests/golden/ops.py > tests/golden/ops.h

Each case is a function of a and b in PyTorch; the test holds the same one in boxgrad, by name. The inputs follow from a
formula, so that only results are stored.
"""
import torch

torch.set_default_dtype(torch.float64)


def numbers(shape, seed):
    """((37 i + 11 seed) mod 101 - 50) / 50, as the test makes them: all different up to 101 of them."""
    n = 1
    for extent in shape:
        n *= extent
    i = torch.arange(n)
    return (((37 * i + 11 * seed) % 101 - 50).double() / 50).reshape(shape)


def gather(x, index):
    return torch.gather(x, -1, torch.tensor(index).reshape(x.shape[:-1] + (1,))).squeeze(-1)


CASES = [  # name, shape of a, shape of b (or None), what 1.5 is added to so that it is positive, function
    ('add', (2, 3, 4), (3, 1), '', lambda a, b: a + b),
    ('sub', (2, 1, 4), (3, 4), '', lambda a, b: a - b),
    ('mul', (2, 3, 4), (4,), '', lambda a, b: a * b),
    ('div', (3, 1), (2, 3, 4), 'b', lambda a, b: a / b),
    ('neg', (2, 3), None, '', lambda a, b: -a),
    ('square', (2, 3), None, '', lambda a, b: torch.square(a)),
    ('exp', (2, 3), None, '', lambda a, b: torch.exp(a)),
    ('log', (2, 3), None, 'a', lambda a, b: torch.log(a)),
    ('sqrt', (2, 3), None, 'a', lambda a, b: torch.sqrt(a)),
    ('clamp', (2, 3), None, '', lambda a, b: torch.clamp(a, -0.5, 0.25)),
    ('matmul', (3, 5), (5, 2), '', torch.matmul),
    ('sum', (2, 3, 4), None, '', lambda a, b: a.sum((0, 2))),
    ('mean', (2, 3, 4), None, '', lambda a, b: a.mean(1, True)),
    ('max', (2, 3, 4), None, '', lambda a, b: a.amax((1, 2))),
    ('reshape', (2, 3, 4), None, '', lambda a, b: a.reshape(4, -1)),
    ('permute', (2, 3, 4), None, '', lambda a, b: a.permute(2, 0, 1)),
    ('cat', (2, 3, 2), (2, 1, 2), '', lambda a, b: torch.cat([a, b, a], 1)),
    ('slice', (2, 4, 3), None, '', lambda a, b: a.narrow(1, 1, 2)),
    ('index_select', (2, 4, 3), None, '', lambda a, b: torch.index_select(a, 1, torch.tensor([3, 0, 3]))),
    ('gather', (2, 3, 4), None, '', lambda a, b: gather(a, [0, 3, 1, 1, 2, 0])),
]


def braces(t):
    return '{' + ', '.join('%.12g' % v for v in t.reshape(-1).tolist()) + '}'


def shape(extents):
    return '{' + ', '.join(map(str, extents)) + '}'


print('#pragma once')
print('// Printed by tests/golden/ops.py (PyTorch %s); do not edit.' % torch.__version__)
print('// clang-format off')
print('inline const GoldenOp kGoldenOps[] = {')
for name, a_shape, b_shape, positive, f in CASES:
    a = (numbers(a_shape, 1) + (1.5 if positive == 'a' else 0)).requires_grad_()
    b = (numbers(b_shape or (1,), 2) + (1.5 if positive == 'b' else 0)).requires_grad_()
    y = f(a, b)
    y.backward(numbers(tuple(y.shape), 3))
    print(f'    {{"{name}", {shape(a_shape)}, {shape(b_shape or (1,))}, "{positive}", {shape(y.shape)},')
    print(f'     {braces(y.detach())},')
    print(f'     {braces(a.grad)},')
    print(f'     {braces(b.grad) if b.grad is not None else "{}"}}},')
print('};')
print('// clang-format on')
