#!/usr/bin/python3
"""The pretrained face detector beside the same network in PyTorch, in turn on the same CPU.

usage: face_bench.py [--ours build/bin/face_bench] [--package out/face-api/package] [--threads 1,2] [--rounds 5] [--budget 1]

One image of 512 x 512, milliseconds, the network alone: boxgrad as loaded and prepared for inference (norms folded), PyTorch
as loaded and with norms folded, each in its default order of axes and in channels_last. Every round runs boxgrad, then
PyTorch; a figure of a round is the shortest of several runs. Printed are medians over the rounds and the ratio of PyTorch's
best to boxgrad prepared (above 1: boxgrad is faster), with its least and greatest. Before that, both answer the same
picture, and the largest difference is printed. PyTorch gets the allocator settings that are fastest for it. Needs
python3-torch (make deps-dev) and the package (make faces).
"""
import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'golden'))


def folded(network):
    """Each depthwise norm into its filters and a bias: a network without batch norm."""
    import torch
    blocks = []
    for depthwise, (mean, variance, gamma, beta), *rest in network.blocks:
        scale = gamma / torch.sqrt(variance + 1e-3)
        blocks.append((depthwise * scale[:, None, None, None], beta - mean * scale, *rest))
    return blocks


class Folded:
    def __init__(self, network):
        self.network, self.blocks = network, folded(network)

    def __call__(self, images):
        import torch
        import torch.nn.functional as F
        from face_network import same_padding
        with torch.no_grad():
            net, maps = self.network, []
            x = F.conv2d(same_padding(images, 3, 2), *net.conv0, stride=2).clamp_(0, 6)
            for i, (depthwise, bias, pointwise, offset, stride) in enumerate(self.blocks, 1):
                if stride == 1:
                    x = F.conv2d(x, depthwise, bias, 1, 1, groups=x.shape[1]).clamp_(0, 6)
                else:
                    x = F.conv2d(same_padding(x, 3, 2), depthwise, bias, 2, groups=x.shape[1]).clamp_(0, 6)
                x = F.conv2d(x, pointwise, offset).clamp_(0, 6)
                if i in (11, 13):
                    maps.append(x)
            for j, (weight, offset, stride) in enumerate(net.extras):
                x = F.conv2d(same_padding(x, weight.shape[2], stride), weight, offset, stride).clamp_(0, 6)
                if j % 2:
                    maps.append(x)
            answers = [[F.conv2d(x, *head).permute(0, 2, 3, 1).reshape(len(x), -1, size) for head, size in zip(heads, (4, 3))]
                       for x, heads in zip(maps, net.heads)]
            return tuple(torch.cat(a, 1) for a in zip(*answers))


def shortest_ms(run, budget_s):
    run()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < budget_s:
        before = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - before))
    return min(times)


def run_pytorch(package, threads, budget_s):
    import torch
    from face_network import Network
    network = Network(package)
    images = torch.linspace(-1, 1, 512 * 512 * 3).reshape(1, 512, 512, 3).permute(0, 3, 1, 2)
    planes, last = images.contiguous(), images.contiguous(memory_format=torch.channels_last)
    plain = Folded(network)
    for a, b in zip(network(planes), plain(planes)):
        assert (a - b).abs().max() < 1e-3 * a.abs().max()
    print('name,threads,ms')
    for count in threads:
        torch.set_num_threads(count)
        for name, run in (('network', lambda: network(planes)), ('network_folded', lambda: plain(planes)),
                          ('network_last', lambda: network(last)), ('network_folded_last', lambda: plain(last))):
            print('%s,%d,%.3f' % (name, count, shortest_ms(run, budget_s)), flush=True)


def same_answers(package, lesson):
    """Both programs on one picture: the largest difference of a box in pixels, and of a score."""
    import numpy as np
    import torch
    from face_network import Network, as_images, face_input, faces
    torch.set_num_threads(1)
    y, x = np.mgrid[:200, :300]
    pixels = np.stack([(3 * x + 5 * y + 40 * c + (x * y) % 17) & 255 for c in range(3)], 2).astype(np.uint8)
    network = Network(package)
    theirs = faces(network, *network(as_images(face_input(pixels.astype(np.float32)))), 300, 200, 0.1)
    with tempfile.TemporaryDirectory() as folder:
        photo = os.path.join(folder, 'rect.bmp')
        row = 300 * 3
        with open(photo, 'wb') as file:  # 24-bit BMP: rows from the bottom, blue first; 900 is a multiple of 4
            size = 54 + row * 200
            header = b'BM' + size.to_bytes(4, 'little') + bytes(4) + (54).to_bytes(4, 'little') + (40).to_bytes(4, 'little')
            header += (300).to_bytes(4, 'little') + (200).to_bytes(4, 'little') + b'\1\0\x18\0' + bytes(24)
            file.write(header + pixels[::-1, :, ::-1].tobytes())
        out = subprocess.run([lesson, '--package', package, '--min-score', '0.1', '--json', photo], capture_output=True,
                             text=True, check=True).stdout
    ours = [[d[k] for k in ('score', 'x', 'y', 'width', 'height')] for d in json.loads(out)['detections']]
    if len(ours) != len(theirs):
        sys.exit(f'boxgrad finds {len(ours)} faces, PyTorch {len(theirs)}')
    scores, boxes = (max(abs(a[i] - b[i]) for a, b in zip(ours, theirs) for i in r) for r in ([0], range(1, 5)))
    print(f'both find {len(ours)} face in the test picture; scores differ by {scores:.1e}, boxes by {boxes:.1e} px')


def measure(command, environment=None):
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    if out.returncode:
        sys.exit(f'{command[0]} failed with status {out.returncode}\n{out.stderr}')
    return {(row['name'], int(row['threads'])): float(row['ms']) for row in csv.DictReader(io.StringIO(out.stdout))}


def main():
    ap = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    ap.add_argument('--ours', default='build/bin/face_bench')
    ap.add_argument('--package', default='out/face-api/package')
    ap.add_argument('--threads', default='1,2')
    ap.add_argument('--rounds', type=int, default=5)
    ap.add_argument('--budget', type=float, default=1)
    ap.add_argument('--pytorch', action='store_true', help=argparse.SUPPRESS)  # the other side, in a process of its own
    args = ap.parse_args()
    threads = [int(t) for t in args.threads.split(',')]
    if args.pytorch:
        return run_pytorch(args.package, threads, args.budget)

    same_answers(args.package, os.path.join(os.path.dirname(args.ours), '16_pretrained_faces'))
    common = ['--package', args.package, '--threads', args.threads, '--budget', str(args.budget)]
    tuned = dict(os.environ, MALLOC_TRIM_THRESHOLD_='2000000000', MALLOC_MMAP_THRESHOLD_='1000000000')
    ours, theirs = [], []
    for _ in range(args.rounds):
        ours.append(measure([args.ours] + common))
        theirs.append(measure([sys.executable, __file__] + common + ['--pytorch'], tuned))
    print('%-8s %-22s %8s' % ('threads', 'what', 'ms'))
    for count in threads:
        for who, rounds in (('boxgrad', ours), ('PyTorch', theirs)):
            for name, _ in [key for key in rounds[0] if key[1] == count]:
                print('%-8d %-30s %8.1f' % (count, f'{who} {name}', statistics.median(r[name, count] for r in rounds)))
        ratios = [min(v for k, v in t.items() if k[1] == count) / o['network_folded', count] for o, t in zip(ours, theirs)]
        print('%-8d PyTorch\'s best / boxgrad folded: %.2f (%.2f .. %.2f)' % (count, statistics.median(ratios), min(ratios),
                                                                           max(ratios)))


if __name__ == '__main__':
    main()
