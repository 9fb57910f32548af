#!/usr/bin/python3
"""layers_bench beside PyTorch on the same CPU, in turn, as a table of ratios.

usage: against_pytorch.py [--ours build/bin/layers_bench] [--only REGEX] [--threads 1,2] [--rounds 5] [--budget 0.2]
                          [--channels-last]

Every round runs all items with boxgrad, then all with PyTorch, so that both meet the same machine; each figure of a
round is the shortest of several runs. Printed are boxgrad's median times and the ratios PyTorch / boxgrad (above 1:
boxgrad is faster): the median over the rounds and, in brackets, the least and the greatest; at the end the same of the
geometric mean over all items, as every round has one. PyTorch gets the allocator
settings that are fastest for it: with glibc's own it meets fresh memory for every large tensor and is up to twice slower.
And it gets the OpenBLAS kernel that boxgrad uses, as OpenBLAS alone may not know a CPU and take the slowest one it has.
PyTorch's maps are [N, C, H, W], its default; --channels-last gives it boxgrad's order of axes, which it is often faster
with (but not by default). Needs python3-torch and python3-torchvision (make deps-dev).
"""
import argparse
import csv
import ctypes
import io
import os
import re
import statistics
import subprocess
import sys
import time


# --- PyTorch's side: an item is what its name says -------------------------------------------------------------------

VGG = {'1_1': (3, 64, 1), '1_2': (64, 64, 1), '2_1': (64, 128, 2), '2_2': (128, 128, 2), '3_1': (128, 256, 4),
       '3_2': (256, 256, 4), '4_1': (256, 512, 8), '4_2': (512, 512, 8), '5_1': (512, 512, 16)}


def network(name):
    from torch import nn
    layers, channels = [], 3
    if name == 'vgg16_trunk':
        for out in [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512]:
            layers += [nn.Conv2d(channels, out, 3, 1, 1), nn.ReLU(True)] if out else [nn.MaxPool2d(2)]
            channels = out or channels
    else:
        def conv(into, out, kernel, stride, groups=1):
            return [nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out),
                    nn.ReLU(True)]
        layers, channels = conv(3, 32, 3, 2), 32
        for out, stride in zip([64] + [128] * 2 + [256] * 2 + [512] * 6 + [1024] * 2, [1, 2, 1, 2, 1, 2] + [1] * 5 + [2, 1]):
            layers += conv(channels, channels, 3, stride, channels) + conv(channels, out, 1, 1)
            channels = out
    return nn.Sequential(*layers)


def regions(n):
    import torch
    low = torch.rand(n, 2) * torch.tensor([640., 480.])
    high = torch.minimum(low + 16 + torch.rand(n, 2) * torch.tensor([400., 300.]), torch.tensor([799., 599.]))
    return torch.cat([low, high], 1)


CHANNELS_LAST = False


def laid_out(t):
    """A module or a map in the order of axes that was asked for."""
    import torch
    if not CHANNELS_LAST or (isinstance(t, torch.Tensor) and t.dim() != 4):
        return t
    return t.to(memory_format=torch.channels_last)


def pytorch_item(name):
    """(forward, forward + backward or None), or None for a name that PyTorch has no twin of."""
    import torch
    from torch import nn
    from torchvision import ops

    def layer(module, *shape, first=False):
        module = laid_out(module)
        x = laid_out(torch.randn(*shape)).requires_grad_(not first)
        with torch.no_grad():
            dy = torch.randn_like(module(x))  # in the order of its output

        def forward():
            with torch.no_grad():
                module(x)

        def both():
            for t in [x, *module.parameters()]:
                t.grad = None
            module(x).backward(dy)
        return forward, both

    def numbers(pattern):
        found = re.fullmatch(pattern, name)
        return [int(g) if g and g.isdigit() else g for g in found.groups()] if found else None

    if f := numbers(r'vgg_conv(\d_\d)_b(\d+)_(\d+)(?:x(\d+))?'):
        (into, out, shrink), (batch, h, w) = VGG[f[0]], f[1:]
        return layer(nn.Conv2d(into, out, 3, 1, 1), batch, into, h // shrink, (w or h) // shrink, first=into == 3)
    if f := numbers(r'conv(\d+)_s(\d)_g(\d)_(\d+)-(\d+)_(\d+)_b(\d+)'):
        kernel, stride, groups, into, out, side, batch = f
        return layer(nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups), batch, into, side, side,
                     first=into == 3)
    if f := numbers(r'mb_conv0_3x3s2_b(\d+)_(\d+)'):
        return layer(nn.Conv2d(3, 32, 3, 2, 1, bias=False), f[0], 3, f[1], f[1], first=True)
    if f := numbers(r'mb_dw(\d+)_s(\d)_(\d+)_b(\d+)'):
        c, stride, side, batch = f
        return layer(nn.Conv2d(c, c, 3, stride, 1, groups=c, bias=False), batch, c, side, side)
    if f := numbers(r'mb_pw(\d+)-(\d+)_(\d+)_b(\d+)'):
        return layer(nn.Conv2d(f[0], f[1], 1, bias=False), f[3], f[0], f[2], f[2])
    if f := numbers(r'(batchnorm_train|relu|maxpool2)_(\d+)x(\d+)x(\d+)x(\d+)'):
        module = {'batchnorm_train': nn.BatchNorm2d(f[2]), 'relu': nn.ReLU(), 'maxpool2': nn.MaxPool2d(2)}[f[0]]
        return layer(module, *f[1:])
    if f := numbers(r'cross_entropy_(\d+)x(\d+)'):
        labels = torch.arange(f[0]) * 7 % f[1]

        class CrossEntropy(nn.Module):
            def forward(self, x):
                return nn.functional.cross_entropy(x, labels)
        return layer(CrossEntropy(), *f)
    if f := numbers(r'fc\d_(\d+)x(\d+)_r(\d+)'):
        return layer(nn.Linear(f[0], f[1]), f[2], f[0])
    if f := numbers(r'fc(\d)_svd(\d+)_r(\d+)'):
        into = 25088 if f[0] == 6 else 4096
        return layer(nn.Sequential(nn.Linear(into, f[1], bias=False), nn.Linear(f[1], 4096)), f[2], into)
    if f := numbers(r'nms_(\d+)_iou(0\.\d)'):
        boxes, scores, iou = regions(f[0]), torch.rand(f[0]), float(f[1])
        return lambda: ops.nms(boxes, scores, iou), None
    if f := numbers(r'box_iou_(\d+)x(\d+)'):
        a, b = regions(f[0]), regions(f[1])
        return lambda: ops.box_iou(a, b), None
    if f := numbers(r'roi_pool_(\d+)'):
        rois = torch.cat([(torch.arange(f[0]) * 2 // f[0]).float()[:, None], regions(f[0])], 1)

        class Pool(nn.Module):
            def forward(self, x):
                return ops.roi_pool(x, rois, 7, 1 / 16)
        return layer(Pool(), 2, 512, 38, 50)
    f = numbers(r'(mobilenet_v1|vgg16_trunk)_train_b(\d+)_(\d+)(?:x(\d+))?')
    if not f:
        return None
    net, x = laid_out(network(f[0])), laid_out(torch.randn(f[1], 3, f[2], f[3] or f[2]))
    sgd = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, weight_decay=1e-4)
    with torch.no_grad():
        dy = torch.randn_like(net(x)) * 1e-3

    def forward():
        net.eval()
        with torch.no_grad():
            net(x)

    def step():
        net.train()
        sgd.zero_grad(set_to_none=True)
        net(x).backward(dy)
        sgd.step()
    return forward, step


def shortest_ms(run, budget_s):
    run()
    times, start = [], time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - start < budget_s and len(times) < 200):
        before = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - before))
    return min(times)


def run_pytorch(names, threads, budget_s):
    import torch
    import torchvision.ops  # what every item may need is there before the first
    try:
        blas = ctypes.CDLL('libopenblas.so.0')  # Linear's; PyTorch does not tell it how many threads
    except OSError:
        blas = None
    print('name,threads,fwd_ms,fwdbwd_ms')
    for name in names:
        item = pytorch_item(name)
        for count in threads if item else []:
            torch.set_num_threads(count)
            if blas:
                blas.openblas_set_num_threads(count)
            times = ['%.4f' % shortest_ms(run, budget_s) if run else '' for run in item]
            print(name, count, *times, sep=',', flush=True)


# --- side by side ----------------------------------------------------------------------------------------------------

def measure(command, environment=None):
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    if out.returncode:
        sys.exit(f'{command[0]} failed with status {out.returncode}:\n{out.stderr[-2000:]}')
    return {(row['name'], int(row['threads'])): [float(row[k]) if row[k] else None for k in ('fwd_ms', 'fwdbwd_ms')]
            for row in csv.DictReader(io.StringIO(out.stdout))}


def spread_of_mean(items):
    """Of the geometric mean over all items, taken in each round: the median, the least and the greatest. `items` holds
    the ratios of each, round by round."""
    means = [statistics.geometric_mean(ratios) for ratios in zip(*items)]
    return statistics.median(means), min(means), max(means)


def main():
    ap = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    ap.add_argument('--ours', default='build/bin/layers_bench')
    ap.add_argument('--only', default='.')
    ap.add_argument('--threads', default='1,2')
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--budget', type=float, default=0.2)
    ap.add_argument('--channels-last', action='store_true')
    ap.add_argument('--pytorch', nargs='+', help=argparse.SUPPRESS)  # the other side, in a process of its own
    args = ap.parse_args()
    threads = [int(t) for t in args.threads.split(',')]
    if args.pytorch:
        global CHANNELS_LAST
        CHANNELS_LAST = args.channels_last
        return run_pytorch(args.pytorch, threads, args.budget)

    listed = subprocess.run([args.ours, '--list', '--only', args.only], capture_output=True, text=True, check=True)
    common = ['--threads', args.threads, '--budget', str(args.budget)]
    kernel = re.search(r'\(kernel (\w+)\)', listed.stderr + listed.stdout)
    tuned = dict(os.environ, MALLOC_TRIM_THRESHOLD_='2000000000', MALLOC_MMAP_THRESHOLD_='1000000000')
    if not kernel:
        sys.exit('cannot read which OpenBLAS kernel boxgrad uses: PyTorch might get a slower one')
    tuned.setdefault('OPENBLAS_CORETYPE', kernel[1])
    ours, theirs = [], []
    for _ in range(args.rounds):
        ours.append(measure([args.ours, '--only', args.only] + common))
        layout = ['--channels-last'] if args.channels_last else []
        theirs.append(measure([sys.executable, __file__] + common + layout + ['--pytorch'] + listed.stdout.split(), tuned))

    print('%-30s %s %10s %20s %10s %20s' % ('item', 'T', 'forward ms', 'ratio', 'f + b ms', 'ratio'))
    groups = {}  # (threads, forward or both): the ratios of each item, round by round
    for key in [k for k in ours[0] if k in theirs[0]]:
        line = '%-30s %d' % key
        for i in (0, 1):
            if ours[0][key][i] is None or theirs[0][key][i] is None:
                line += ' %10s %20s' % ('', '')
                continue
            ratios = [t[key][i] / o[key][i] for o, t in zip(ours, theirs)]
            groups.setdefault((key[1], i), []).append(ratios)
            line += ' %10.3f %5.2f (%5.2f ..%6.2f)' % (statistics.median(o[key][i] for o in ours),
                                                      statistics.median(ratios), min(ratios), max(ratios))
        print(line)
    for (count, i), items in sorted(groups.items()):
        print('geometric mean, %d thread(s), %s: %.2f (%.2f .. %.2f)' %
              (count, ('forward', 'forward + backward')[i], *spread_of_mean(items)))


if __name__ == '__main__':
    main()
