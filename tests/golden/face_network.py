"""The face detector of the npm package @vladmandic/face-api 1.7.15 in PyTorch, built from the package's manifest.

network(package)      the network; its answers are a dict of stages by name, [N, H, W, C] as in TensorFlow
face_input(pixels)    [H, W, 3] of 0 to 255 -> the square of 0 to 255, [512, 512, 3]
faces(stages, ...)    boxes in pixels of the photo, by score

Used by face_ssd.py beside it and by tests/bench/face_bench.py. Only torch and numpy are needed.
"""
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

SIDE = 512
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]


def manifest_path(package):
    return os.path.join(package, 'model', 'ssd_mobilenetv1_model-weights_manifest.json')


def read_weights(package):
    path = manifest_path(package)
    tensors = {}
    with open(path) as file:
        groups = json.load(file)
    for group in groups:
        data = b''.join(open(os.path.join(os.path.dirname(path), p), 'rb').read() for p in group['paths'])
        offset = 0
        for weight in group['weights']:
            count = math.prod(weight['shape'])
            if 'quantization' in weight:
                q = weight['quantization']
                assert q['dtype'] == 'uint8'
                values = np.frombuffer(data, np.uint8, count, offset) * np.float64(q['scale']) + q['min']
                offset += count
            else:
                values = np.frombuffer(data, '<f4' if weight['dtype'] == 'float32' else '<i4', count, offset)
                offset += 4 * count
            tensors[weight['name']] = torch.from_numpy(values.astype(np.float32).reshape(weight['shape']))
        assert offset == len(data)
    return tensors


def same_padding(x, kernel, stride):
    """TensorFlow's SAME: the odd zero below and on the right."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x


class Network(torch.nn.Module):
    def __init__(self, package):
        super().__init__()
        self.tensors = read_weights(package)

        def conv(name):
            return self.tensors[name].permute(3, 2, 0, 1).contiguous()
        t = self.tensors
        self.conv0 = conv('MobilenetV1/Conv2d_0_pointwise/weights'), t['MobilenetV1/Conv2d_0_pointwise/convolution_bn_offset']
        self.blocks = []
        for i, stride in enumerate(STRIDES, 1):
            depthwise, pointwise = f'MobilenetV1/Conv2d_{i}_depthwise/', f'MobilenetV1/Conv2d_{i}_pointwise/'
            self.blocks.append((t[depthwise + 'depthwise_weights'].permute(2, 3, 0, 1).contiguous(),
                                [t[depthwise + 'BatchNorm/' + n] for n in ('moving_mean', 'moving_variance', 'gamma', 'beta')],
                                conv(pointwise + 'weights'), t[pointwise + 'convolution_bn_offset'], stride))
        self.extras = [(conv(f'Prediction/Conv2d_{j}_pointwise/weights'),
                        t[f'Prediction/Conv2d_{j}_pointwise/convolution_bn_offset'], 1 + j % 2) for j in range(8)]
        self.heads = [[(conv(f'Prediction/BoxPredictor_{k}/{n}/weights'), t[f'Prediction/BoxPredictor_{k}/{n}/biases'])
                       for n in ('BoxEncodingPredictor', 'ClassPredictor')] for k in range(6)]

    @torch.no_grad()
    def forward(self, images, stages=None):
        """images [N, 3, 512, 512] from -1 to 1 -> (box encodings [N, 5118, 4] as ty tx th tw, logits [N, 5118, 3])."""
        def note(name, x):
            if stages is not None:
                stages[name] = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
            return x

        note('input_normalised', images)
        x = note('mobilenet/conv0', F.conv2d(same_padding(images, 3, 2), *self.conv0, stride=2).clamp_(0, 6))
        maps = []
        for i, (depthwise, norm, pointwise, offset, stride) in enumerate(self.blocks, 1):
            x = F.conv2d(same_padding(x, 3, stride), depthwise, None, stride, groups=x.shape[1])
            x = note(f'mobilenet/conv{i}/dw_bn_relu6', F.batch_norm(x, *norm, training=False, eps=1e-3).clamp_(0, 6))
            x = note(f'mobilenet/conv{i}/pw_relu6', F.conv2d(x, pointwise, offset).clamp_(0, 6))
            if i in (11, 13):
                maps.append(x)
        for j, (weight, offset, stride) in enumerate(self.extras):
            x = note(f'extra/conv{j}', F.conv2d(same_padding(x, weight.shape[2], stride), weight, offset, stride).clamp_(0, 6))
            if j % 2:
                maps.append(x)
        answers = []
        for k, (x, heads) in enumerate(zip(maps, self.heads)):
            pair = [note(f'head{k}/{n}', F.conv2d(x, *head)) for n, head in zip(('box', 'cls'), heads)]
            answers.append([y.permute(0, 2, 3, 1).reshape(len(x), -1, size) for y, size in zip(pair, (4, 3))])
        boxes, logits = (torch.cat(a, 1) for a in zip(*answers))
        return note('all_box_encodings', boxes), note('all_class_logits', logits)


def face_input(pixels):
    """Zeros below and on the right to a square, then bilinear without half pixels, as TensorFlow 1 does."""
    height, width, _ = pixels.shape
    side = max(height, width)
    square = np.zeros((side, side, 3), np.float32)
    square[:height, :width] = pixels
    if side == SIDE:
        return square
    source = np.arange(SIDE, dtype=np.float32) * np.float32(side / SIDE)
    low = source.astype(int)
    high, share = np.minimum(low + 1, side - 1), (source - low).astype(np.float32)
    across = share[None, :, None]
    top = square[low][:, low] * (1 - across) + square[low][:, high] * across
    bottom = square[high][:, low] * (1 - across) + square[high][:, high] * across
    down = share[:, None, None]
    return top * (1 - down) + bottom * down


def as_images(square):
    """[512, 512, 3] of 0 to 255 -> [1, 3, 512, 512] from -1 to 1"""
    return torch.from_numpy(square / np.float32(127.5) - 1).permute(2, 0, 1)[None].contiguous()


def decode(network, boxes, logits):
    """-> corners [5118, 4] as ymin xmin ymax xmax of the square's side, scores [5118]"""
    anchors = network.tensors['Output/extra_dim'][0]
    size = anchors[:, 2:] - anchors[:, :2]
    centre = boxes[0][:, :2] / 10 * size + (anchors[:, :2] + anchors[:, 2:]) / 2
    half = torch.exp(boxes[0][:, 2:] / 5) * size / 2
    return torch.cat([centre - half, centre + half], 1), torch.sigmoid(logits[0][:, 1])


def suppress(corners, scores, min_score, limit=100):
    """Numbers of the anchors that are kept, best score first."""
    kept = []
    for i in torch.argsort(scores, descending=True, stable=True).tolist():
        if scores[i] <= min_score or len(kept) == limit:
            break
        box = corners[i].double()

        def iou(j):
            other = corners[j].double()
            both = (torch.minimum(box[2:], other[2:]) - torch.maximum(box[:2], other[:2])).clamp(min=0).prod()
            return both / ((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - both)
        if all(iou(j) <= 0.5 for j in kept):
            kept.append(i)
    return kept


def faces(network, boxes, logits, width, height, min_score):
    """-> [(score, x, y, width, height)] in pixels of the photo, by face-api's scale"""
    corners, scores = decode(network, boxes, logits)
    longer = max(width, height)
    scale_x, scale_y = (side * SIDE / math.floor(side * SIDE / longer + 0.5) for side in (width, height))
    result = []
    for i in suppress(corners, scores, min_score):
        y1, x1, y2, x2 = corners[i].clamp(0, 1).tolist()
        result.append((scores[i].item(), x1 * scale_x, y1 * scale_y, (x2 - x1) * scale_x, (y2 - y1) * scale_y))
    return result
