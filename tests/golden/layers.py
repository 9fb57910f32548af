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

title('test_optimizer: 20 steps of SGD and AdamW')


def twenty_steps(make):
    """Quadratic bowls of different curvature, moved by a gradient that depends on the step; the rate falls at 10."""
    w, b = T([1., -2., 3.]), T([.5])
    w.requires_grad_(), b.requires_grad_()
    opt = make([w, b])
    for t in range(20):
        for group in opt.param_groups:
            group['lr'] = group['initial'] * (1 if t < 10 else .1)
        opt.zero_grad()
        loss = (T([.5, 1., 2.]) * w * w).sum() + w.sum() * b.sum() + b.sum() * math.sin(t)
        loss.backward()
        opt.step()
    return torch.cat([w, b]).detach()


def sgd(**options):
    def make(p):
        opt = torch.optim.SGD(p, lr=.05, **options)
        for group in opt.param_groups:
            group['initial'] = .05
        return opt
    return make


def adamw(p):
    opt = torch.optim.AdamW(p, lr=.1, betas=(.8, .95), eps=1e-3, weight_decay=.1)
    opt.param_groups[0]['initial'] = .1
    return opt


def groups(p):
    opt = torch.optim.SGD([{'params': p[:1]}, {'params': p[1:], 'weight_decay': 0}], lr=.05, momentum=.9, weight_decay=.1)
    opt.param_groups[0]['initial'], opt.param_groups[1]['initial'] = .05, .1
    return opt


for options in ({}, {'momentum': .9}, {'weight_decay': .1}, {'momentum': .9, 'weight_decay': .1},
                {'momentum': .9, 'weight_decay': .1, 'nesterov': True}):
    print(options, twenty_steps(sgd(**options)))
print('bias rate x2, no decay', twenty_steps(groups))
print('adamw', twenty_steps(adamw))


def caffe(nesterov):
    """Caffe's solvers by their formulas: the rate enters the velocity."""
    w, b = T([1., -2., 3.]), T([.5])
    v = [torch.zeros(3), torch.zeros(1)]
    for t in range(20):
        rate = .05 * (1 if t < 10 else .1)
        gradients = [2 * T([.5, 1., 2.]) * w + b, w.sum() + math.sin(t)]
        for i, (p, g) in enumerate(zip((w, b), gradients)):
            old = v[i]
            v[i] = .9 * old + rate * (g + .1 * p)
            p -= 1.9 * v[i] - .9 * old if nesterov else v[i]
    return torch.cat([w, b])


print('caffe', caffe(False), 'nesterov', caffe(True))

title('test_linear: y, dx, dw, db for x = sin(i), w = cos(i), b, dy = 1, -2, 3, -4, ...')


def wave(f, *shape):
    n = math.prod(shape)
    return f(torch.arange(n, dtype=torch.float64)).reshape(shape)


for activation in (lambda z: z, F.relu):
    x, w, b = wave(torch.sin, 2, 3), wave(lambda i: 4 * torch.cos(i), 3, 4), T([.1, -.2, .3, .4])
    for t in (x, w, b):
        t.requires_grad_()
    y = activation(F.linear(x, w.T, b))
    dy = torch.arange(1., 9).reshape(2, 4) * T([1., -1., 1., -1.])
    y.backward(dy)
    print('y', y.detach(), '\ndx', x.grad, '\ndw', w.grad, '\ndb', b.grad)

title('test_activation')
x = T([[-2., -.5, 0., 1.], [3., 7., -1., .25]])
for name, f in (('sigmoid', torch.sigmoid), ('softmax', lambda z: F.softmax(z, -1)), ('log_softmax', lambda z: F.log_softmax(z, -1))):
    z = x.clone().requires_grad_()
    y = f(z)
    y.backward(torch.arange(1., 9).reshape(2, 4) * T([1., -1., 1., -1.]))
    print(name, 'y', y.detach(), '\ndx', z.grad)
