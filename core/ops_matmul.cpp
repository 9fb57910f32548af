#include "core/autograd.h"
#include "core/blas.h"
#include "core/ops.h"

namespace boxgrad {

Tensor matmul(const Tensor& a, const Tensor& b) {
  check(a.rank() == 2 && b.rank() == 2 && a.size(1) == b.size(0),
        "matmul: needs [M, K] x [K, N], got ", a.shape(), " x ", b.shape());
  const std::int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  Tensor c = Tensor::empty({m, n});
  gemm(Trans::no, Trans::no, m, n, k, 1, a.data().data(), k, b.data().data(), n, 0, c.data().data(),
       n);

  return from_op(
      "matmul", c, {a, b},
      // An operand is kept for the gradient of the other one.
      [a = b.requires_grad() ? a.detach() : Tensor(), b = a.requires_grad() ? b.detach() : Tensor(),
       da = a.grad_slot(), db = b.grad_slot(), m, k, n](const Tensor& dc) {
        const Scalar* dC = dc.data().data();
        if (da) {  // dA = dC B^T
          const Scalar* B = b.data().data();
          const auto [dA, beta] = da->target();
          gemm(Trans::no, Trans::yes, m, k, n, 1, dC, n, B, n, beta, dA, k);
        }
        if (db) {  // dB = A^T dC
          const Scalar* A = a.data().data();
          const auto [dB, beta] = db->target();
          gemm(Trans::yes, Trans::no, k, n, m, 1, A, k, dC, n, beta, dB, n);
        }
      });
}

}  // namespace boxgrad
