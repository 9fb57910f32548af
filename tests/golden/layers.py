#!/usr/bin/python3
"""Prints the reference values of the tests of losses, optimisers, activations and linear layers; run by hand with
Debian's python3-torch 1.13: /usr/bin/python3 tests/golden/layers.py"""
import math

import torch
import torch.nn.functional as F

torch.set_printoptions(precision=8, sci_mode=False, linewidth=100)
torch.set_default_dtype(torch.float64)
T = torch.tensor


def title(text):
    print(f'\n== {text}')


title('test_losses: cross_entropy')
x = T([[.5, -1., 2.], [3., 0., -2.], [0., 0., 0.], [-1., 4., 1.]], requires_grad=True)
y = T([2, 1, -1, 0])
cw = T([1., 2., .5])
for reduction in ('none', 'sum', 'mean'):
    for weight in (None, cw):
        loss = F.cross_entropy(x, y, weight=weight, ignore_index=-1, reduction=reduction)
        print(reduction, 'class weights' if weight is not None else '', loss.detach())
g, = torch.autograd.grad(F.cross_entropy(x, y, weight=cw, ignore_index=-1), x)
print('gradient of the weighted mean', g)
print('Fast R-CNN example', F.cross_entropy(T([[0., 0, 0], [2, 0, -1], [0, 3, 0]]), T([1, 0, 1]), reduction='none'))

title('test_losses: elementwise')
a, t, w = T([[.3, -2., .05], [4., 0., -.6]]), T([[0., 1., 0.], [1., 0., 1.]]), T([[1., .5, 2.], [0., 3., 1.]])
print('bce', [F.binary_cross_entropy_with_logits(a, t, reduction=r) for r in ('none', 'sum', 'mean')])
print('bce weighted', [F.binary_cross_entropy_with_logits(a, t, weight=w, reduction=r) for r in ('sum', 'mean')])
print('bce of +-100', F.binary_cross_entropy_with_logits(T([100., -100., 100., -100.]), T([1., 1., 0., 0.]), reduction='none'))
for beta in (1., 1 / 9):
    print('smooth l1', beta, F.smooth_l1_loss(a, t, beta=beta), F.smooth_l1_loss(T([.05, 1 / 9, .5, 1, 2]), torch.zeros(5), beta=beta, reduction='none'))
print('mse', [F.mse_loss(a, t, reduction=r) for r in ('none', 'sum', 'mean')])
