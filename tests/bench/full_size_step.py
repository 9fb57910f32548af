#!/usr/bin/python3
"""build/bin/full_size_step's model L in PyTorch: the same shapes, the same phases. /usr/bin/python3 tests/bench/full_size_step.py [steps]

VGG16 with conv1_1 to conv2_2 frozen, two images of 800 x 600, 128 regions in 7 x 7 bins, fc6 and fc7 with dropout, two
sibling layers, SGD with momentum; then one image with 2,000 regions, before and after truncated SVD (of random layers:
only the shapes matter). Regions are labelled beforehand, and suppression is left out. The shortest time of each phase
counts. Set OPENBLAS_CORETYPE to the kernel that full_size_step names in its first line: OpenBLAS alone may not know the
CPU and be several times slower. Needs python3-torch and python3-torchvision (make deps-dev).
"""
import os
import resource
import sys
import time

if 'MALLOC_TRIM_THRESHOLD_' not in os.environ:  # as in against_pytorch.py: else fresh pages cost PyTorch half its speed
    os.environ.update(MALLOC_TRIM_THRESHOLD_='2000000000', MALLOC_MMAP_THRESHOLD_='1000000000')
    os.execv(sys.executable, [sys.executable, *sys.argv])

import torch
from torch import nn
from torchvision import ops

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
CLASSES = 21


def backbone():
    layers, channels = [], 3
    for out in [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512]:
        layers += [nn.Conv2d(channels, out, 3, 1, 1), nn.ReLU(True)] if out else [nn.MaxPool2d(2, ceil_mode=True)]
        channels = out or channels
    net = nn.Sequential(*layers)
    for p in net[:9].parameters():  # conv1_1 to conv2_2
        p.requires_grad_(False)
    return net


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc6, self.fc7 = nn.Linear(25088, 4096), nn.Linear(4096, 4096)
        self.cls_score, self.bbox_pred = nn.Linear(4096, CLASSES), nn.Linear(4096, 4 * CLASSES)

    def forward(self, x):
        times = [time.perf_counter()]
        for layer in (self.fc6, self.fc7):
            x = nn.functional.dropout(torch.relu(layer(x)), .5, self.training)
            times.append(time.perf_counter())
        self.ms = [1e3 * (b - a) for a, b in zip(times, times[1:])]
        return self.cls_score(x), self.bbox_pred(x)


def regions(images, count):
    low = torch.rand(images * count, 2) * torch.tensor([500., 300.])
    high = low + 40 + torch.rand(images * count, 2) * 260
    return torch.cat([torch.arange(images).repeat_interleave(count).float()[:, None], low, high], 1)


def print_table(title, names, rows):
    print(title)
    for name, ms in zip(names, [min(column) for column in zip(*rows)]):
        print('  %-26s %9.1f ms' % (name, ms))


def train(net, head):
    images, rois = torch.randn(2, 3, 600, 800), regions(2, 64)
    labels = (torch.arange(128) % 4 == 0).long() * (1 + torch.arange(128) % (CLASSES - 1))
    parameters = [p for p in [*net.parameters(), *head.parameters()] if p.requires_grad]
    sgd = torch.optim.SGD(parameters, lr=1e-5, momentum=.9, weight_decay=5e-4)
    rows = []
    for _ in range(STEPS + 1):
        sgd.zero_grad(set_to_none=True)
        times = [time.perf_counter()]
        features = net(images)
        times.append(time.perf_counter())
        scores, offsets = head(ops.roi_pool(features, rois, 7, 1 / 16).flatten(1))
        own = offsets.reshape(128, CLASSES, 4)[torch.arange(128), labels][labels > 0]
        loss = nn.functional.cross_entropy(scores, labels) + nn.functional.smooth_l1_loss(
            own, torch.zeros_like(own), reduction='sum') / 128
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        sgd.step()
        times.append(time.perf_counter())
        rows.append([1e3 * (b - a) for a, b in zip(times, times[1:])] + [1e3 * (times[-1] - times[0])])
    print_table('a step of 2 images of 800 x 600, 128 regions',
                ['backbone forward', 'regions and head forward', 'backward', 'SGD', 'together'], rows[1:])
    print('  %-26s %9.0f MB' % ('peak memory', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6))
    sgd.zero_grad(set_to_none=True)


def detect(net, head, title):
    image, rois, rows = torch.randn(1, 3, 600, 800), regions(1, 2000), []
    with torch.no_grad():
        for _ in range(STEPS + 1):
            start = time.perf_counter()
            head(ops.roi_pool(net(image), rois, 7, 1 / 16).flatten(1))[0].softmax(1)
            rows.append([1e3 * (time.perf_counter() - start), *head.ms])
    print_table(title, ['all', 'fc6', 'fc7'], rows[1:])


if __name__ == '__main__':
    net, head = backbone(), Head()
    train(net, head)
    head.eval()
    detect(net, head, 'detection in one image, 2000 regions')
    head.fc6 = nn.Sequential(nn.Linear(25088, 1024, bias=False), nn.Linear(1024, 4096))
    head.fc7 = nn.Sequential(nn.Linear(4096, 256, bias=False), nn.Linear(256, 4096))
    detect(net, head, 'compressed')
