#!/usr/bin/python3
"""Values for tests/test_batch_norm.cpp, printed by PyTorch. Run by hand: python3 tests/golden/norm.py"""
import torch
import torch.nn.functional as F

torch.set_printoptions(precision=8, sci_mode=False, linewidth=100)
# [N, H, W, C] = [2, 2, 2, 3], filled by a formula so that the test can make the same numbers.
x = torch.tensor([((7 * i * i + 3 * i) % 23) / 4.0 - 2.0 for i in range(24)]).view(2, 2, 2, 3)
x.requires_grad_()
w = torch.tensor([1.0, -0.5, 2.0], requires_grad=True)
b = torch.tensor([0.1, 0.2, -0.3], requires_grad=True)
mean, var = torch.tensor([0.5, 0.0, -1.0]), torch.tensor([1.0, 2.0, 0.5])
dy = torch.tensor([((5 * i) % 7) / 2.0 - 1.5 for i in range(24)]).view(2, 2, 2, 3)
nchw = lambda t: t.permute(0, 3, 1, 2)
for training in (True, False):
    x.grad = w.grad = b.grad = None
    m, v = mean.clone(), var.clone()
    y = F.relu(F.batch_norm(nchw(x), m, v, w, b, training, 0.1, 1e-5)).permute(0, 2, 3, 1)
    y.backward(dy)
    for name, t in [('y', y), ('dx', x.grad), ('dw', w.grad), ('db', b.grad), ('mean', m), ('var', v)]:
        print('training' if training else 'frozen', name, t.detach().flatten().tolist())
