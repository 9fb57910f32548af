#!/usr/bin/python3
"""Golden values for tests/test_boxes_torchvision.cpp. Run by hand: /usr/bin/python3 tests/golden/boxes.py > tests/golden/boxes.h
With the number of a case it prints that case instead: /usr/bin/python3 tests/golden/boxes.py 417

torchvision's nms and box_iou on 1,000 lists of boxes each, in float and in double. The lists follow from formulas that
the test repeats, in ten kinds: whole numbers, copies, tiles that touch, overlaps exactly at a threshold, empty boxes,
inverted ones, far outside any picture, coordinates with many digits, near copies, and all of these together. Every 25th
list is empty; in every other one many scores are equal.

Two exceptions are stated, and undone here:
- box_iou of two boxes without area is NaN in torchvision (0 / 0) and 0 in boxgrad. (-0 is 0, too.)
- boxgrad's nms takes the lower number first among equal scores, torchvision promises no order. So torchvision gets, as
  scores, the places that a stable sort by score gives the boxes, which are all different. That its own order is the
  same one in this version is checked, not needed.

What is stored: for nms the numbers of the kept boxes in order, as letters, one string for each list (two where double
decides otherwise than float); for box_iou a hash of the bits of the matrix, once for each precision.
"""
import struct
import sys
import torch
import torchvision
import torchvision.ops as ops

CASES = 1000
LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
THRESHOLDS = [0.3, 0.5, 0.7, 0.45, 0.25, 0.75, 0, 1, 0.1, 0.6]


def hashed(i):
    """A 32-bit mixture of i."""
    v = (i * 2654435761 + 12345) % 2**32
    v ^= v >> 15
    v = v * 2246822519 % 2**32
    return v ^ v >> 13


class Draws:
    """Draw d of list c is hashed(1000 c + d + start)."""

    def __init__(self, start):
        self.at = start

    def below(self, n):
        self.at += 1
        return hashed(self.at) % n


def box(kind, draws, boxes):
    """One more box for a list; each coordinate is a multiple of 2^-12 below 2^17."""
    d = draws.below
    if kind == 9:
        kind = d(9)
    x, y, w, h = d(24) - 5, d(24) - 5, 4 + d(20), 4 + d(20)
    if kind == 1 and boxes and d(2):
        return boxes[d(len(boxes))]
    if kind == 2:
        x, y, w, h = 10 * d(4), 10 * d(4), 10, 10
    if kind == 3:  # inside [0, 0, 10, 10], with an overlap of 1/10 ... 10/10
        x, y, w, h = 0, 0, 10, 1 + d(10)
    if kind == 4:
        w, h = w * d(2), h * d(2)
    if kind == 5:
        w, h = w * (2 * d(2) - 1), h * (2 * d(2) - 1)
    if kind == 6:
        x, y, w, h = 8000 * (x - 6), 100 * (y - 6), 4000 * w, 100 * h
    if kind == 7:
        x, y, w, h = d(2**16) / 4096, d(2**16) / 4096, d(2**16) / 4096, d(2**16) / 4096
    if kind == 8 and boxes:
        near = boxes[d(len(boxes))]
        return [v + (d(65) - 32) / 32 for v in near]
    return [x, y, x + w, y + h]


def make_list(c, which):
    """List number `which` of case c: boxes, scores and a threshold."""
    draws = Draws(1000 * (3 * c + which))
    count = 0 if c % 25 == which else 1 + draws.below(24) if which == 0 else 2 + draws.below(6)
    boxes = []
    for _ in range(count):
        boxes.append(box(c % 10, draws, boxes))
    steps = 4 if c // 10 % 2 else 2**16
    scores = [draws.below(steps) / steps for _ in range(count)]
    return boxes, scores, THRESHOLDS[draws.below(10)]


def tensor(boxes, dtype):
    return torch.tensor(boxes, dtype=dtype).reshape(-1, 4)


def nms(c, dtype):
    """The kept boxes as letters, and whether torchvision's own order of equal scores gives the same."""
    boxes, scores, threshold = make_list(c, 0)
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    places = torch.empty(len(scores), dtype=dtype)
    places[order] = torch.arange(len(scores), 0, -1, dtype=dtype)
    kept = ops.nms(tensor(boxes, dtype), places, threshold).tolist()
    own = ops.nms(tensor(boxes, dtype), torch.tensor(scores, dtype=dtype), threshold).tolist()
    return ''.join(LETTERS[i] for i in kept), kept == own


def box_iou(c, dtype):
    iou = ops.box_iou(tensor(make_list(c, 1)[0], dtype), tensor(make_list(c, 2)[0], dtype))
    return torch.where(iou.isnan() | (iou == 0), torch.zeros_like(iou), iou)


def bits_hash(t):
    """FNV-1a over the bytes, little end first."""
    h = 2166136261
    for v in t.reshape(-1).tolist():
        for byte in struct.pack('<f' if t.dtype == torch.float32 else '<d', v):
            h = (h ^ byte) * 16777619 % 2**32
    return h


def show(c):
    boxes, scores, threshold = make_list(c, 0)
    print('nms, threshold %g:' % threshold, *('%s %g %s' % (LETTERS[i], s, b) for i, (b, s) in enumerate(zip(boxes, scores))),
          sep='\n  ')
    print('  keeps', nms(c, torch.float32)[0], 'in float,', nms(c, torch.float64)[0], 'in double')
    print('box_iou of', *make_list(c, 1)[0], 'and', *make_list(c, 2)[0], sep='\n  ')
    torch.set_printoptions(precision=9)
    print(box_iou(c, torch.float32))


def main():
    print('// Made by tests/golden/boxes.py with torchvision %s. clang-format off' % torchvision.__version__)
    floats, doubles = ([nms(c, t) for c in range(CASES)] for t in (torch.float32, torch.float64))
    assert all(same for _, same in floats + doubles)
    print('const std::vector<const char*> kGoldenNms = {')
    for c in range(0, CASES, 10):
        print('    ' + ' '.join('"%s",' % kept for kept, _ in floats[c:c + 10]))
    print('};\nconst std::map<std::size_t, const char*> kGoldenNmsInDouble = {  // where it differs')
    for c in range(CASES):
        if floats[c][0] != doubles[c][0]:
            print('    {%d, "%s"},' % (c, doubles[c][0]))
    for name, dtype in (('kGoldenIou', torch.float32), ('kGoldenIouInDouble', torch.float64)):
        print('};\nconst std::vector<std::uint32_t> %s = {' % name)
        for c in range(0, CASES, 10):
            print('    ' + ' '.join('0x%08x,' % bits_hash(box_iou(i, dtype)) for i in range(c, c + 10)))
    print('};\n// clang-format on')


if __name__ == '__main__':
    show(int(sys.argv[1])) if len(sys.argv) > 1 else main()
