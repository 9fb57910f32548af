#!/usr/bin/python3
"""Golden values for tests/test_caffenet.cpp. Run by hand: /usr/bin/python3 tests/golden/caffenet.py > tests/golden/caffenet.h

CaffeNet with Fast R-CNN's padding and VGG_CNN_M_1024, at a quarter of their widths, as tests/golden/networks.py does it
for other networks. Images have numbers up to 100, as Caffe's had, without which normalisation would change nothing.
"""
import networks as n
import torch
import torch.nn.functional as F


def conv(net, x, name, k, co, stride, pad, groups=1):
    w = net.state.make(name + '.weight', (k, k, x.shape[1] // groups, co)).permute(3, 2, 0, 1)
    return net.activate(F.conv2d(x, w, net.state.make(name + '.bias', (co,)), stride, pad, groups=groups))


def pool(net, x, pad):
    """3 x 3, stride 2, rounded up; remembers the nearest decision (zeros stand for cells that are not there)."""
    with torch.no_grad():
        cells = F.unfold(F.pad(x, (pad, 3, pad, 3)).reshape(-1, 1, x.shape[2] + pad + 3, x.shape[3] + pad + 3), 3, stride=2)
        top = cells.topk(2, 1).values
        gap = (top[:, 0] - top[:, 1])[top[:, 0] > 0]
        net.margin = min(net.margin, (gap.min() / x.max()).item())
    return F.max_pool2d(x, 3, 2, pad, ceil_mode=True)


def nhwc(maps):
    return {k: v.permute(0, 2, 3, 1) for k, v in maps.items()}


def start(seed, size, batch):
    images = (100 * n.numbers((batch, *size, 3), 1000 * seed + 1)).requires_grad_()
    return n.Net(seed), images, images.permute(0, 3, 1, 2)


def caffenet(seed, size=(51, 67)):
    net, images, x = start(seed, size, 2)
    x = pool(net, conv(net, x, 'conv1', 11, 24, 4, 5), 1)
    norm1 = x = F.local_response_norm(x, 5, 1e-4, .75, 1)
    x = pool(net, conv(net, x, 'conv2', 5, 64, 1, 2, 2), 1)
    x = F.local_response_norm(x, 5, 1e-4, .75, 1)
    x = conv(net, x, 'conv3', 3, 96, 1, 1)
    x = conv(net, x, 'conv4', 3, 96, 1, 1, 2)
    x = conv(net, x, 'conv5', 3, 64, 1, 1, 2)
    return net, images, nhwc({'norm1': norm1, 'conv5': x, 'pool5': pool(net, x, 0)})


def vgg_cnn_m(seed, size=(69, 85)):
    net, images, x = start(seed, size, 1)
    norm1 = x = F.local_response_norm(conv(net, x, 'conv1', 7, 24, 2, 0), 5, 5e-4, .75, 2)
    x = conv(net, pool(net, x, 0), 'conv2', 5, 64, 2, 1)
    x = pool(net, F.local_response_norm(x, 5, 5e-4, .75, 2), 0)
    for i in (3, 4, 5):
        x = conv(net, x, 'conv%d' % i, 3, 128, 1, 1)
    return net, images, nhwc({'norm1': norm1, 'conv5': x, 'pool5': pool(net, x, 0)})


if __name__ == '__main__':
    print('#pragma once')
    print('// Printed by tests/golden/caffenet.py (PyTorch %s); do not edit.' % torch.__version__)
    print('// clang-format off')
    names = ['images', 'conv1.weight', 'conv2.weight', 'conv2.bias', 'conv3.weight', 'conv4.weight', 'conv5.weight']
    n.golden('CaffeNet', caffenet, names, n.nearest_decision, 200)
    n.golden('VggCnnM1024', vgg_cnn_m, names, n.nearest_decision, 800)
    print('// clang-format on')
