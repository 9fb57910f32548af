#!/usr/bin/python3
"""Prints the reference values of the detection tests; run by hand with Debian's python3-torch 1.13 and
python3-torchvision 0.14: /usr/bin/python3 tests/golden/detection.py"""
import numpy as np
import torch
import torch.nn.functional as F
from torchvision import ops
from torchvision.models.detection._utils import BoxCoder, Matcher, SSDMatcher
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

torch.set_printoptions(precision=6, sci_mode=False, linewidth=150)
T = torch.tensor


def title(text):
    print(f'\n== {text}')


title('test_boxes: box_iou, area')
a = T([[0., 0, 10, 10]])
b = T([[5., 5, 15, 15], [0, 0, 10, 10], [10, 10, 20, 20], [2, 2, 8, 8], [9, 0, 19, 10], [0, 0, 5, 5],
       [3, 3, 3, 3], [8, 8, 2, 2]])
print(ops.box_iou(a, b), ops.box_area(b))
print('two equal boxes without area:', ops.box_iou(b[6:7], b[6:7]))

title('test_boxes: encode, decode')
p, g = T([[10., 20, 50, 80]]), T([[14., 18, 62, 90]])
for w in ((1., 1., 1., 1.), (10., 10., 5., 5.)):
    coder = BoxCoder(w)
    t = coder.encode([g], [p])[0]
    print(w, t, coder.decode(t, [p]).reshape(-1))
print('clamped:', BoxCoder((1., 1., 1., 1.)).decode(T([[0., 0, 10, 10]]), [p]).reshape(-1))
anchor, truth = T([[0., 0, 10, 10]]), T([[1., 1, 13, 9]])
coder = BoxCoder((1., 1., 1., 1.))
print('targets', coder.encode([truth], [anchor])[0])
pred = T([[.1, .1, .1, -.1]], requires_grad=True)
out = coder.decode(pred, [anchor]).reshape(-1, 4)
loss = ((out - truth) ** 2).sum()
loss.backward()
print('decoded', out, 'squared corner distance', loss, 'gradient', pred.grad)
print('smooth L1 on offsets', F.smooth_l1_loss(pred.detach(), coder.encode([truth], [anchor])[0], reduction='sum'))
print('clip', ops.clip_boxes_to_image(T([[-5., 3, 20, 50], [30, 30, 40, 40]]), (16, 24)))

title('test_nms')
boxes = T([[0., 0, 10, 10], [1, 1, 11, 11], [0, 0, 10, 5], [20, 20, 30, 30], [20, 20, 30, 30]])
scores = T([.9, .8, .7, .6, .6])
for t in (.3, .5, .68, .7):
    print(t, ops.nms(boxes, scores, t).tolist())
print('classes', ops.batched_nms(boxes, scores, T([0, 1, 0, 0, 1]), .5).tolist())
# IoU is 3/10 exactly, .3 as a float is .30000001: dropped at .3, kept at .31
print('3/10', [ops.nms(T([[0., 0, 10, 10], [0, 0, 10, 3]]), T([.9, .8]), t).tolist() for t in (.3, .31)])
# A list that C++ rebuilds from integers: x = 37 i mod 101 and so on.
i = torch.arange(200)
x, y = (i * 37 % 101).float(), (i * 53 % 89).float()
w, h = (10 + i * 29 % 31).float(), (10 + i * 17 % 23).float()
many = torch.stack([x, y, x + w, y + h], 1)
score = ((i * 71 % 199).float() / 199)
print(.3, ops.nms(many, score, .3).tolist())
print(.5, 'dropped', sorted(set(range(200)) - set(ops.nms(many, score, .5).tolist())))

title('test_anchors')
gen = AnchorGenerator(((32,),), ((.5, 1., 2.),))
img = ImageList(torch.zeros(1, 3, 32, 48), [(32, 48)])
print('torchvision RPN, rounded, not centred:', gen(img, [torch.zeros(1, 1, 2, 3)])[0][[0, 4, 8, 9, 17]])
gen = AnchorGenerator(((128, 256, 512),), ((.5, 1., 2.),))
print(gen.cell_anchors[0])
ssd = DefaultBoxGenerator([[2]], scales=[.2, .375], steps=[8], clip=False)
img = ImageList(torch.zeros(1, 3, 16, 24), [(16, 24)])
print('torchvision SSD, pixels of 24 x 16:', ssd(img, [torch.zeros(1, 1, 2, 3)])[0])
ssd = DefaultBoxGenerator([[2], [2, 3], [2, 3], [2, 3], [2], [2]],
                          scales=[.1, .2, .37, .54, .71, .88, 1.05], steps=[8, 16, 32, 64, 100, 300], clip=False)
img = ImageList(torch.zeros(1, 3, 300, 300), [(300, 300)])
d = ssd(img, [torch.zeros(1, 1, s, s) for s in (38, 19, 10, 5, 3, 1)])[0]
print('SSD300', len(d), d[[0, 1, 2, 3, 5776, 5777, 5778, 8731]], 'sum', d.double().sum(0))

title('test_matcher')
q = T([[.9, .45, .35, 0, .62, .6], [.1, .55, .5, .2, .3, .65]])
for hi, lo, low in ((.7, .3, False), (.7, .3, True), (.6, .4, False), (.6, .4, True), (.5, .4, True), (.5, .5, False)):
    print(hi, lo, low, Matcher(hi, lo, low)(q).tolist())
ties = T([[.2, .25, .25, .1], [.8, 0, 0, 0]])
print('ties', Matcher(.7, .3, True)(ties).tolist(), 'SSD port', SSDMatcher(.5)(ties).tolist())
zero = T([[0., 0, 0], [.6, .2, .1]])
print('truth without overlap (the bug)', Matcher(.7, .3, True)(zero).tolist())
cell = T([[-11., -6, 11, 6], [-8, -8, 8, 8], [-6, -11, 6, 11]])
shift = T([[c * 16., r * 16, c * 16, r * 16] for r in range(2) for c in range(3)])
geo = (shift[:, None] + cell).reshape(-1, 4)
iou = ops.box_iou(T([[1., 2, 17, 18], [20, 10, 44, 22]]), geo)
for hi, lo, low in ((.7, .3, True), (.6, .4, True), (.6, .4, False)):
    print('geometry', hi, lo, low, Matcher(hi, lo, low)(iou).tolist())

title('test_sampler')
logits = T([[0., 1, 0], [2, 0, 0], [0, 0, 0], [-1, 2, 0], [1, 0, 0], [0, 0, 1]])
ce = F.cross_entropy(logits, T([1, 0, 0, 0, 0, 2]), reduction='none')
print(ce, 'ratio 1:', (ce[0] + ce[5] + ce[3] + ce[2]) / 2, 'ratio 3:', ce.sum() / 2)


title('test_evaluation')


def ap(flags, npos):
    """11-point as in py-faster-rcnn's voc_eval (numpy's thresholds) and with j / 10, and the area."""
    tp = np.cumsum(flags)
    rec, prec = tp / npos, tp / np.arange(1, len(flags) + 1)
    points = lambda ts: np.mean([prec[rec >= t].max() if (rec >= t).any() else 0 for t in ts])
    r, p = np.concatenate([[0], rec, [1]]), np.concatenate([[0], prec, [0]])
    p = np.maximum.accumulate(p[::-1])[::-1]
    step = np.where(r[1:] != r[:-1])[0]
    return points(np.arange(0, 1.1, .1)), points([j / 10 for j in range(11)]), ((r[step + 1] - r[step]) * p[step + 1]).sum()


for flags, npos in (([1, 0, 1, 1, 0, 0, 1], 5), ([1, 1, 1], 3), ([0, 1], 1), ([1], 2), ([0, 0], 2),
                    ([1, 0] * 5, 10), ([1] * 7, 10), ([1] * 3, 10), ([1] * 6, 10)):
    print(flags, npos, 'numpy %.6f  j/10 %.6f  area %.6f' % ap(flags, npos))
print('toy', 'numpy %.6f  j/10 %.6f  area %.6f' % ap([1, 0, 1, 0, 1, 0], 3))
