#!/usr/bin/python3
"""Every stage of the face detector on two pictures made of numbers, by PyTorch from the npm package's weights.

usage: face_ssd.py PACKAGE [--reference FILE] > tutorials/16_pretrained_faces/reference.h

PACKAGE is the unpacked @vladmandic/face-api 1.7.15 (make faces). The pictures are `ramp`, 512 x 512 with R = x >> 1, G =
y >> 1, B = (x + y) >> 2, and `rect`, 300 wide and 200 high, with channel c = (3 x + 5 y + 40 c + (x y) mod 17) & 255: one
needs no resizing, the other the padding and the resize rule. FILE has the same figures from another program (TensorFlow.js)
as JSON; the greatest differences over the stages' greatest values go to stderr.
"""
import json
import sys

import numpy as np
import torch

from face_network import Network, as_images, decode, face_input, faces

torch.set_num_threads(1)
package = sys.argv[1]
reference = json.load(open(sys.argv[3])) if len(sys.argv) > 3 else None
network = Network(package)


def picture(width, height, f):
    x, y, c = np.meshgrid(np.arange(width), np.arange(height), np.arange(3), indexing='xy')
    return f(x, y, c).astype(np.float32)


PICTURES = {
    'ramp': picture(512, 512, lambda x, y, c: np.where(c == 0, x >> 1, np.where(c == 1, y >> 1, (x + y) >> 2))),
    'rect': picture(300, 200, lambda x, y, c: (3 * x + 5 * y + 40 * c + (x * y) % 17) & 255),
}
NAMES = {'ramp': 'synthetic_ramp', 'rect': 'synthetic_rect_300x200'}

print('// Made by tests/golden/face_ssd.py. What each stage of the face detector gives for two pictures, and the faces found.')
print('#pragma once\n\n#include <array>\n#include <vector>\n')
print('''/// A stage's numbers, [N, H, W, C] flattened: their statistics, the first 8 and 8 from the middle.
struct FaceStage {
  const char* name;
  std::vector<long> shape;
  double mean, min, max;
  long middle;
  std::vector<double> first8, middle8;
};

struct FaceGolden {
  const char* picture;
  std::vector<FaceStage> stages;
  /// Score, x, y, width, height in pixels of the photo, of the faces with a score > 0.1.
  std::vector<std::array<double, 5>> faces;
};
''')


def numbers(values):
    return '{' + ', '.join(f'{v:.9g}' for v in values) + '}'


print('// clang-format off\ninline const std::vector<FaceGolden> kFaceGolden = {')
for name, pixels in PICTURES.items():
    square = face_input(pixels)
    stages = {'resized_0_255': torch.from_numpy(square)[None]}
    boxes, logits = network(as_images(square), stages)
    stages['decoded_boxes_yxyx'], stages['scores'] = decode(network, boxes, logits)
    found = faces(network, boxes, logits, pixels.shape[1], pixels.shape[0], 0.1)
    print(f'    {{"{name}",\n     {{')
    worst = 0
    for stage, tensor in stages.items():
        flat = tensor.contiguous().flatten()
        middle = flat.numel() // 2
        values = dict(mean=flat.double().mean().item(), min=flat.min().item(), max=flat.max().item(),
                      first8=flat[:8].tolist(), mid8=flat[middle:middle + 8].tolist())
        print(f'      {{"{stage}", {{{", ".join(map(str, tensor.shape))}}}, {values["mean"]:.9g}, {values["min"]:.9g}, '
              f'{values["max"]:.9g}, {middle},\n       {numbers(values["first8"])},\n       {numbers(values["mid8"])}}},')
        if reference:
            other = reference['synthetic'][NAMES[name]]
            other = other['resized_0_255'] if stage == 'resized_0_255' else other['stages'][stage]
            assert list(tensor.shape) == other['shape'] and middle == other['mid_offset'], stage
            scale = max(abs(values['min']), abs(values['max']))
            for key, value in values.items():
                if key in other:
                    worst = max(worst, np.abs(np.subtract(value, other[key])).max() / scale)
    print('     },\n     {' + ',\n      '.join(numbers(face) for face in found) + '}},')
    if reference:
        theirs = [tuple(d.values()) for d in reference['synthetic'][NAMES[name]]['detections_min_conf_0.1']]
        print(f'{name}: stages differ by {worst:.1e} of their maximum; faces {found} and {theirs}', file=sys.stderr)
print('};\n// clang-format on')
