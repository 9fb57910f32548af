#!/usr/bin/python3
"""Golden values of tests/test_local_response_norm.cpp. Run by hand: /usr/bin/python3 tests/golden/local_response_norm.py"""
import torch
import torch.nn.functional as F

for channels, size, alpha, beta, k in [(7, 5, 1e-4, .75, 1), (7, 5, .5, .75, 2), (6, 4, 1, .5, 1), (3, 9, 2, 1.25, 1.5)]:
    x = torch.tensor([((i * 37) % 23 - 11) / 4 for i in range(2 * channels)], dtype=torch.float64)
    x = x.reshape(1, 1, 2, channels).permute(0, 3, 1, 2).contiguous().requires_grad_()
    y = F.local_response_norm(x, size, alpha, beta, k)
    dy = torch.tensor([((i * 29) % 19 - 9) / 8 for i in range(2 * channels)], dtype=torch.float64)
    y.backward(dy.reshape(1, 1, 2, channels).permute(0, 3, 1, 2))
    print('      {%d, {%d, %g, %g, %g},' % (channels, size, alpha, beta, k))
    for t in (y.detach(), x.grad):
        print('       {' + ', '.join('%.8g' % v for v in t.permute(0, 2, 3, 1).reshape(-1).tolist()) + '},')
    print('      },')
