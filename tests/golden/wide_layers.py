#!/usr/bin/python3
"""Golden values for tests/test_wide_layers.cpp. Run by hand:
/usr/bin/python3 tests/golden/wide_layers.py > tests/golden/wide_layers.h

Layers of VGG16 and MobileNet with their real numbers of channels, where kernels cut their work into blocks, panels and
parts, on small maps: convolutions, then linear, batch norm, max pool, and MobileNet's block in training. Inputs and the
gradient that comes in follow from a formula that the test repeats. Of y and each gradient are printed: the greatest
value; the sum of all elements, each times a number from the same formula, so that one that is plainly wrong shows; and 40
elements spread over the tensor, in boxgrad's order of axes.
"""
import torch
import torch.nn.functional as F


def numbers(shape, seed):
    """[-1, 1] in thousandths, from a 32-bit mixture of the element's number."""
    n = 1
    for extent in shape:
        n *= extent
    v = (torch.arange(n, dtype=torch.int64) * 2654435761 + seed * 40503 + 12345) % 2**32
    v = v ^ (v >> 15)
    v = v * 2246822519 % 2**32
    v = v ^ (v >> 13)
    return ((v % 2001 - 1000).double() / 1000).reshape(shape)


def picked(t):
    flat = t.reshape(-1)
    step = max(1, flat.numel() // 40)
    return '{%.9g, %.9g, {%s}}' % (flat.abs().max().item(), flat.dot(numbers(flat.shape, 999)).item(),
                                   ', '.join('%.9g' % v for v in flat[::step][:40].tolist()))


# name, batch, side, in, out, kernel, stride, groups
LAYERS = [('conv 64-64', 2, 21, 64, 64, 3, 1, 1), ('conv 64-128', 1, 18, 64, 128, 3, 1, 1),
          ('conv 128-256', 1, 15, 128, 256, 3, 1, 1), ('conv 512-512', 1, 14, 512, 512, 3, 1, 1),
          ('conv 512-512 small', 1, 5, 512, 512, 3, 1, 1), ('first', 2, 23, 3, 64, 3, 1, 1),
          ('first, stride 2', 2, 23, 3, 32, 3, 2, 1), ('depthwise 128', 2, 19, 128, 128, 3, 1, 128),
          ('depthwise 64, stride 2', 2, 19, 64, 64, 3, 2, 64), ('pointwise 64-128', 2, 19, 64, 128, 1, 1, 1),
          ('pointwise 512-512', 1, 14, 512, 512, 1, 1, 1), ('pointwise 512-1024', 2, 7, 512, 1024, 1, 1, 1),
          ('conv 128-128', 2, 9, 128, 128, 3, 1, 1), ('conv 256-256', 1, 9, 256, 256, 3, 1, 1),
          ('conv 256-512', 1, 9, 256, 512, 3, 1, 1), ('depthwise 256, stride 2', 1, 14, 256, 256, 3, 2, 256),
          ('depthwise 1024', 1, 7, 1024, 1024, 3, 1, 1024), ('pointwise 256-256', 1, 14, 256, 256, 1, 1, 1),
          ('pointwise 1024-1024', 1, 7, 1024, 1024, 1, 1, 1)]

print('#pragma once\n// Printed by tests/golden/wide_layers.py (PyTorch %s, in double); do not edit.\n// clang-format off' % torch.__version__)
print('inline const GoldenWide kGoldenWide[] = {')
for seed, (name, n, side, into, out, k, stride, groups) in enumerate(LAYERS):
    x = numbers((n, side, side, into), 3 * seed).requires_grad_()
    w = numbers((k, k, into // groups, out), 3 * seed + 1).requires_grad_()
    b = numbers((out,), 1000 + seed).requires_grad_()
    y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), b, stride, k // 2, 1, groups).permute(0, 2, 3, 1)
    y.backward(numbers(tuple(y.shape), 3 * seed + 2))
    print('    {"%s", %d, %d, %d, %d, %d, %d, %d,' % (name, n, side, into, out, k, stride, groups))
    print('     %s},' % ',\n     '.join(picked(t) for t in (y.detach(), x.grad, w.grad, b.grad)))
print('};')


def inputs(first_seed, *shapes):
    return [numbers(shape, first_seed + i).requires_grad_() for i, shape in enumerate(shapes)]


def channels_first(x):
    return x.permute(0, 3, 1, 2)


def norm(x, gamma, beta):  # statistics of the batch, then ReLU
    return F.relu(F.batch_norm(channels_first(x), None, None, gamma, beta, True, 0.1, 1e-5)).permute(0, 2, 3, 1)


def convolve(x, w, stride=1, groups=1):
    return F.conv2d(channels_first(x), w.permute(3, 2, 0, 1), None, stride, w.shape[0] // 2, 1, groups).permute(0, 2, 3, 1)


def block(x, w1, g1, b1, w2, g2, b2):
    u = norm(convolve(x, w1, 1, x.shape[3]), g1, b1)
    return norm(convolve(u, w2), g2, b2)


OPS = [('linear 4096-1024', lambda x, w, b: F.relu(x @ w + b), (33, 4096), (4096, 1024), (1024,)),
       ('linear one row', lambda x, w, b: F.relu(x @ w + b), (1, 4096), (4096, 512), (512,)),
       ('batch norm 64', norm, (2, 30, 29, 64), (64,), (64,)),
       ('batch norm 512', norm, (2, 14, 14, 512), (512,), (512,)),
       ('max pool 64', lambda x: F.max_pool2d(channels_first(x), 2).permute(0, 2, 3, 1), (2, 30, 28, 64)),
       ('max pool 512', lambda x: F.max_pool2d(channels_first(x), 2).permute(0, 2, 3, 1), (1, 14, 14, 512)),
       ('block 32-64', block, (2, 33, 31, 32), (3, 3, 1, 32), (32,), (32,), (1, 1, 32, 64), (64,), (64,)),
       ('block 512-512', block, (2, 14, 14, 512), (3, 3, 1, 512), (512,), (512,), (1, 1, 512, 512), (512,), (512,))]

print('// Of each op: y, then the gradients of its inputs in order.')
print('inline const std::map<std::string, std::vector<GoldenPicked>> kGoldenWideOps = {')
for i, (name, op, *shapes) in enumerate(OPS):
    leaves = inputs(100 + 10 * i, *shapes)
    y = op(*leaves)
    y.backward(numbers(tuple(y.shape), 109 + 10 * i))
    print('    {"%s",\n     {%s}},' % (name, ',\n      '.join(picked(t) for t in [y.detach()] + [l.grad for l in leaves])))
print('};\n// clang-format on')
