#!/usr/bin/python3
"""Golden values for tests/test_networks.cpp. Run by hand: /usr/bin/python3 tests/golden/networks.py > tests/golden/networks.h

Narrow forms of whole networks, computed by PyTorch in double. Weights and images follow from a formula, so that only
samples of the results are stored, in boxgrad's axes (maps NHWC, filters [KH, KW, C_in/groups, C_out]).

A number close to a kink (ReLU at 0, two cells of a pooling window nearly equal) may fall on the other side in float, and
then whole gradients differ. So of many seeds the script takes the one whose nearest decision is farthest from its kink,
as a fraction of the largest number in the layer. MobileNet's 27 batch norms divide rounding errors by the deviations of
a few images: with the batch's statistics, gradients are compared for its first blocks and only the logits for all of it,
with the seed for which PyTorch in float comes closest to PyTorch in double.
"""
import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def numbers(shape, seed):
    """In [-1, 1), 20 bits each: a hash of (index, seed)."""
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    m = np.uint64(0xFFFFFFFF)
    h = (i * np.uint64(0x9E3779B1) + np.uint64(seed) * np.uint64(0x85EBCA77)) & m
    h = ((h ^ (h >> np.uint64(16))) * np.uint64(0x7FEB352D)) & m
    h = ((h ^ (h >> np.uint64(15))) * np.uint64(0x846CA68B)) & m
    h = (h ^ (h >> np.uint64(16))) >> np.uint64(12)
    return torch.from_numpy(h.astype(np.float64) / (1 << 19) - 1).reshape(shape).to(torch.get_default_dtype())


class State:
    """The tensors of a network in the order in which boxgrad registers them."""

    def __init__(self, seed):
        self.seed, self.tensors = 1000 * seed + 10, {}

    def make(self, name, shape):
        u = numbers(shape, self.seed)
        self.seed += 1
        if name.endswith('running_var'):
            u = 1 + .5 * u
        elif name.endswith('norm.weight'):
            u = 1 + .25 * u
        elif len(shape) > 1:
            u = u * (6 * shape[-1] / np.prod(shape)) ** .5
        else:
            u = .1 * u
        if 'running' not in name:
            u.requires_grad_()
        self.tensors[name] = u
        return u


class Net:
    """Runs on NCHW; remembers how close the nearest decision is."""

    def __init__(self, seed, training=False, act=torch.relu, eps=1e-5, same=False):
        self.state, self.training, self.act, self.eps, self.same = State(seed), training, act, eps, same
        self.margin = 1.

    def activate(self, z):
        with torch.no_grad():
            self.margin = min(self.margin, (z.abs().min() / z.abs().max()).item())
        return self.act(z)

    def conv(self, x, name, k, co, stride=1, groups=1, bias=False):
        w = self.state.make(name + '.weight', (k, k, x.shape[1] // groups, co)).permute(3, 2, 0, 1)
        b = self.state.make(name + '.bias', (co,)) if bias else None
        pad = [k // 2] * 4
        if self.same:
            pad = []
            for size in (x.shape[3], x.shape[2]):  # F.pad wants the last axis first
                total = max((-(-size // stride) - 1) * stride + k - size, 0)
                pad += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pad), w, b, stride, groups=groups)

    def norm(self, x, name):
        p = [self.state.make(name + '.' + n, (x.shape[1],)) for n in ('weight', 'bias', 'running_mean', 'running_var')]
        return F.batch_norm(x, p[2], p[3], p[0], p[1], self.training, .1, self.eps)

    def unit(self, x, name, k, co, stride=1, groups=1, folded=False):
        if folded:
            return self.activate(self.conv(x, name, k, co, stride, groups, True))
        return self.activate(self.norm(self.conv(x, name + '.conv', k, co, stride, groups), name + '.norm'))

    def pool(self, x):
        with torch.no_grad():
            cells = F.unfold(x.reshape(-1, 1, *x.shape[2:]), 2, stride=2)  # [N C, 4, windows]
            top = cells.topk(2, 1).values
            gap = (top[:, 0] - top[:, 1])[top[:, 0] > 0]
            self.margin = min(self.margin, (gap.min() / x.max()).item())
        return F.max_pool2d(x, 2)


def vgg16(seed, quarter=4):
    net = Net(seed)
    images = numbers((2, 17, 19, 3), 1000 * seed + 1).requires_grad_()
    x, maps = images.permute(0, 3, 1, 2), {}
    for stage, (channels, convs) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for i in range(1, convs + 1):
            name = 'conv%d_%d' % (stage, i)
            x = maps[name] = net.activate(net.conv(x, name, 3, channels // quarter, bias=True))
        if stage < 5:
            x = net.pool(x)
    outputs = {n: maps[n].permute(0, 2, 3, 1) for n in ('conv4_3', 'conv5_3')}
    return net, images, outputs


BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]


def mobilenet(net, x, taps=(), blocks=13, folded=False, quarter=4):
    maps = {}
    x = net.unit(x.permute(0, 3, 1, 2), 'conv0', 3, 32 // quarter, 2, folded=folded)
    for i, (co, s) in enumerate(BLOCKS[:blocks], 1):
        x = net.unit(x, 'block%d.depthwise' % i, 3, x.shape[1], s, x.shape[1])
        x = net.unit(x, 'block%d.pointwise' % i, 1, co // quarter, folded=folded)
        if i in taps:
            maps['block%d' % i] = x.permute(0, 2, 3, 1)
    return x, maps


def mobilenet_classifier(seed, training=False, batch=2, size=32):
    net = Net(seed, training)
    images = numbers((batch, size, size, 3), 1000 * seed + 1).requires_grad_()
    x, _ = mobilenet(net, images)
    w, b = net.state.make('fc.weight', (x.shape[1], 10)), net.state.make('fc.bias', (10,))
    return net, images, {'logits': x.mean((2, 3)) @ w + b}


def mobilenet_training_start(seed):
    net = Net(seed, training=True)
    images = numbers((2, 16, 16, 3), 1000 * seed + 1).requires_grad_()
    return net, images, mobilenet(net, images, taps=(2,), blocks=2)[1]


def mobilenet_tensorflow(seed):
    net = Net(seed, act=F.relu6, eps=1e-3, same=True)
    images = numbers((1, 50, 37, 3), 1000 * seed + 1)
    return net, images, mobilenet(net, images, taps=(11, 13), folded=True)[1]


def sample(t):
    """Every step-th number, some 200 of them."""
    t = t.detach().reshape(-1)
    return t[::max(1, t.numel() // 200)].tolist()


def text(values):
    return '{' + ', '.join('%.9g' % v for v in values) + '}'


def gradients_of(make, seed, names):
    net, images, outputs = make(seed)
    if names:
        sum((y * numbers(y.shape, 1000 * seed + 2 + i)).sum() for i, y in enumerate(outputs.values())).backward()
    return net, outputs, {n: (images if n == 'images' else net.state.tensors[n]).grad for n in names}


def nearest_decision(make, names, seed):
    return make(seed)[0].margin


def float_error(make, names, seed):
    """The largest relative difference between float and double, with a minus."""
    results = []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        _, outputs, gradients = gradients_of(make, seed, names)
        results.append([t.detach().double() for t in (*outputs.values(), *gradients.values())])
    return -max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(*results))


def golden(name, make, names, score=None, seeds=1):
    scores = {s: score(make, names, s) if score else 0 for s in range(1, seeds + 1)}
    seed = max(scores, key=scores.get)
    net, outputs, gradients = gradients_of(make, seed, names)
    if score:
        print('// %s: %.1e' % (score.__name__, abs(scores[seed])))
    print('inline const GoldenNetwork k%s = {' % name)
    print('    %d,' % seed)
    for tensors in (outputs, gradients):
        print('    {')
        for n, t in tensors.items():
            print('        {"%s", %s},' % (n, text(sample(t))))
        print('    },')
    print('};')


if __name__ == '__main__':
    print('#pragma once')
    print('// Printed by tests/golden/networks.py (PyTorch %s); do not edit.' % torch.__version__)
    print('// clang-format off')
    golden('Vgg16', vgg16,
           ['images', 'conv1_1.weight', 'conv2_2.weight', 'conv3_2.bias', 'conv4_1.weight', 'conv5_3.weight'],
           nearest_decision, 300)
    golden('MobileNetV1', mobilenet_classifier,
           ['images', 'conv0.conv.weight', 'block1.depthwise.conv.weight', 'block1.depthwise.norm.weight',
            'block6.pointwise.conv.weight', 'block13.pointwise.norm.bias', 'fc.weight'], nearest_decision, 300)
    golden('MobileNetV1Start', mobilenet_training_start,
           ['images', 'conv0.conv.weight', 'conv0.norm.bias', 'block1.depthwise.conv.weight',
            'block1.depthwise.norm.weight', 'block2.pointwise.conv.weight'], nearest_decision, 300)
    golden('MobileNetV1Training', lambda seed: mobilenet_classifier(seed, True, 4, 64), [], float_error, 20)
    golden('TensorFlowMobileNetV1', mobilenet_tensorflow, [])
    print('// clang-format on')
