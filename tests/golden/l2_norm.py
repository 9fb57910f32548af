#!/usr/bin/python3
"""Values for tests/test_l2_norm.cpp, printed by PyTorch. Run by hand: /usr/bin/python3 tests/golden/l2_norm.py"""
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_printoptions(precision=10, sci_mode=False, linewidth=100)
# ((7 i^2 + 3 i) mod 23) / 4 - 2, as the test makes them
x = torch.tensor([((7 * i * i + 3 * i) % 23) / 4 - 2 for i in range(12)]).reshape(1, 2, 2, 3).requires_grad_()
w = torch.tensor([20., 10., -5.], requires_grad=True)
y = w * F.normalize(x, dim=-1)
y.backward(torch.tensor([((5 * i) % 7) / 2 - 1.5 for i in range(12)]).reshape(1, 2, 2, 3))
for name, t in [('y', y), ('dx', x.grad), ('dw', w.grad)]:
    print(name, [round(v, 8) for v in t.detach().flatten().tolist()])
