"""Feature pyramids by torchvision, for tests/test_fpn.cpp: /usr/bin/python3 tests/golden/fpn.py > tests/golden/fpn.h

Inputs and weights are sines of the element's number, counted channels last, so that both sides can
make them: value(i, k) = sin(0.7 i + k)."""
import torch
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

torch.set_default_dtype(torch.float64)


def sines(shape, k, scale=1.0):
    n = 1
    for s in shape:
        n *= s
    return (torch.arange(n, dtype=torch.float64) * 0.7 + k).sin().reshape(shape) * scale


def nchw(shape, k):  # shape as [N, H, W, C]
    return sines(shape, k).permute(0, 3, 1, 2)


def set_conv(conv, k):  # filters as [KH, KW, in, out]
    o, i, h, w = conv.weight.shape
    conv.weight.data = sines((h, w, i, o), k, 0.2).permute(3, 2, 0, 1).contiguous()
    conv.bias.data = sines((o,), k + 50, 0.2)


net = FeaturePyramidNetwork([3, 4, 5], 6, extra_blocks=LastLevelP6P7(5, 6))
for n, block in enumerate(net.inner_blocks):
    set_conv(block[0], 1 + n)
for n, block in enumerate(net.layer_blocks):
    set_conv(block[0], 11 + n)
net.extra_blocks.use_P5 = False
set_conv(net.extra_blocks.p6, 21)
set_conv(net.extra_blocks.p7, 22)
maps = {"0": nchw((1, 7, 6, 3), 31), "1": nchw((1, 4, 3, 4), 32), "2": nchw((1, 2, 2, 5), 33)}
for m in maps.values():
    m.requires_grad_(True)
out = net(maps)
print("#pragma once")
print("// Printed by tests/golden/fpn.py with torchvision.")
print("// clang-format off")
loss = 0
for n, (name, p) in enumerate(out.items()):
    values = p.permute(0, 2, 3, 1).flatten()
    loss = loss + (values * sines(values.shape, 41 + n)).sum()
    print(f"inline const std::vector<double> kFpnLevel{n} = {{{', '.join(f'{v:.9f}' for v in values.tolist()[:24])}}};")
    print(f"inline const double kFpnSum{n} = {values.abs().sum().item():.9f};")
loss.backward()
for n, m in enumerate(maps.values()):
    g = m.grad.permute(0, 2, 3, 1).flatten()
    print(f"inline const std::vector<double> kFpnGradient{n} = {{{', '.join(f'{v:.9f}' for v in g.tolist()[:24])}}};")
    print(f"inline const double kFpnGradientSum{n} = {g.abs().sum().item():.9f};")
