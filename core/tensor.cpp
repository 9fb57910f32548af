#include "core/tensor.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <limits>
#include <new>
#include <ostream>

#include "core/autograd.h"
#include "core/memory.h"
#include "core/tensor_impl.h"

namespace boxgrad {

namespace {

#if defined(__GLIBC__)
// By default glibc gives every large block back to the kernel, and the next step pays a page fault
// for each 4 KiB of it again (ReLU on 98 MiB: 42 ms fresh, 17 ms reused). Keep freed memory, so
// that a training step finds the blocks of the step before it.
[[maybe_unused]] const bool memory_is_kept = [] {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 16 << 20);
  return true;
}();
#endif

constexpr std::size_t kAlignment = 64;

}  // namespace

std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return statm ? resident * ::sysconf(_SC_PAGESIZE) : 0;
}

void release_free_memory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

Buffer::Buffer(std::int64_t size, Fill fill, Use use) {
  const auto count = static_cast<std::uint64_t>(size);
  if (count > (std::numeric_limits<std::size_t>::max() / 2) / sizeof(Scalar))
    throw std::bad_alloc();
  const std::size_t bytes =
      std::max<std::size_t>(count * sizeof(Scalar) + kAlignment - 1, kAlignment) / kAlignment *
      kAlignment;
  data_ = static_cast<Scalar*>(std::aligned_alloc(kAlignment, bytes));
  if (data_ == nullptr) throw std::bad_alloc();
  if (fill == Fill::zero) std::memset(data_, 0, bytes);
  bytes_ = static_cast<std::int64_t>(bytes);
  detail::count_buffer(data_, bytes_, use);
}

Buffer::~Buffer() {
  detail::uncount_buffer(data_, bytes_);
  std::free(data_);
}

// --- creation -------------------------------------------------------------------------------

Tensor make_tensor(Shape shape, std::shared_ptr<Buffer> buffer) {
  Tensor tensor;
  tensor.impl_ = std::make_shared<Tensor::Impl>(std::move(shape), std::move(buffer));
  return tensor;
}

Tensor Tensor::empty(Shape shape) {
  auto buffer = std::make_shared<Buffer>(shape.numel(), Buffer::Fill::none);
  return make_tensor(std::move(shape), std::move(buffer));
}

Tensor::Tensor(Shape shape) {
  auto buffer = std::make_shared<Buffer>(shape.numel(), Buffer::Fill::zero);
  *this = make_tensor(std::move(shape), std::move(buffer));
}

Tensor::Tensor(Shape shape, Scalar fill) : Tensor(empty(std::move(shape))) {
  std::ranges::fill(data(), fill);
}

Tensor::Tensor(Shape shape, std::initializer_list<Scalar> values)
    : Tensor(std::move(shape), std::vector<Scalar>(values)) {}

Tensor::Tensor(Shape shape, const std::vector<Scalar>& values) : Tensor(empty(std::move(shape))) {
  check(numel() == static_cast<std::int64_t>(values.size()), "Tensor: shape ", this->shape(),
        " needs ", numel(), " values, got ", values.size());
  std::ranges::copy(values, data().begin());
}

Tensor Tensor::arange(std::int64_t n) {
  Tensor y = empty({n});
  std::int64_t i = 0;
  for (Scalar& value : y.data()) value = static_cast<Scalar>(i++);
  return y;
}

Tensor Tensor::randn(Shape shape, Random& random) {
  Tensor y = empty(std::move(shape));
  for (Scalar& value : y.data()) value = static_cast<Scalar>(random.normal());
  return y;
}

Tensor Tensor::rand(Shape shape, Random& random) {
  Tensor y = empty(std::move(shape));
  for (Scalar& value : y.data()) value = static_cast<Scalar>(random.uniform());
  return y;
}

// --- access ---------------------------------------------------------------------------------

const Shape& Tensor::shape() const {
  check(defined(), "Tensor: this handle holds no tensor");
  return impl_->shape;
}

std::span<const Scalar> Tensor::data() const {
  const auto count = static_cast<std::size_t>(numel());
  return {impl_->numbers->data(), count};
}

std::span<Scalar> Tensor::data() {
  const auto count = static_cast<std::size_t>(numel());
  return {impl_->numbers->data(), count};
}

Scalar Tensor::item() const {
  check(numel() == 1, "item: needs a tensor with one element, got shape ", shape());
  return data()[0];
}

static std::size_t offset_of(const Shape& shape, std::initializer_list<std::int64_t> index) {
  check(static_cast<int>(index.size()) == shape.rank(), "at: shape ", shape, " needs ",
        shape.rank(), " indices, got ", index.size());
  std::int64_t offset = 0;
  int axis = 0;
  for (const std::int64_t i : index) {
    check(i >= 0 && i < shape[axis], "at: index ", i, " is outside axis ", axis, " of ", shape);
    offset = offset * shape[axis++] + i;
  }
  return static_cast<std::size_t>(offset);
}

Scalar Tensor::at(std::initializer_list<std::int64_t> index) const {
  return data()[offset_of(shape(), index)];
}

void Tensor::set(std::initializer_list<std::int64_t> index, Scalar value) {
  data()[offset_of(shape(), index)] = value;
}

std::vector<Scalar> Tensor::to_vector() const { return {data().begin(), data().end()}; }

Tensor Tensor::clone() const {
  Tensor copy = empty(shape());
  std::ranges::copy(data(), copy.data().begin());
  return copy;
}

Tensor Tensor::detach() const { return make_tensor(shape(), impl_->numbers); }

Tensor Tensor::view_as(Shape new_shape) const {
  check(new_shape.numel() == numel(), "reshape: ", shape(), " has ", numel(),
        " elements and does not fit into ", new_shape);
  return make_tensor(std::move(new_shape), impl_->numbers);
}

// --- printing -------------------------------------------------------------------------------

namespace {

constexpr std::int64_t kEdgeItems = 3, kPrintWhole = 1000;

struct Printer {
  std::ostream& out;
  const Tensor& tensor;
  bool whole;
  int width = 0;
  std::string format(Scalar value) const {
    std::ostringstream text;
    text << std::setprecision(5) << value;
    return text.str();
  }

  /// Calls f for the positions of an axis that are shown; -1 stands for the gap.
  template <class F>
  void positions(std::int64_t extent, F f) const {
    for (std::int64_t i = 0; i < extent; ++i) {
      if (!whole && extent > 2 * kEdgeItems + 1 && i == kEdgeItems) {
        f(-1);
        i = extent - kEdgeItems;
      }
      f(i);
    }
  }

  void measure(int axis, std::int64_t offset) {
    if (axis == tensor.rank()) {
      width = std::max(
          width, static_cast<int>(format(tensor.data()[static_cast<std::size_t>(offset)]).size()));
      return;
    }
    positions(tensor.size(axis), [&](std::int64_t i) {
      if (i >= 0) measure(axis + 1, offset * tensor.size(axis) + i);
    });
  }

  void print(int axis, std::int64_t offset) {
    if (axis == tensor.rank()) {
      out << std::setw(width) << format(tensor.data()[static_cast<std::size_t>(offset)]);
      return;
    }
    const bool innermost = axis + 1 == tensor.rank();
    out << '[';
    bool first = true;
    positions(tensor.size(axis), [&](std::int64_t i) {
      if (!first) {
        if (innermost)
          out << ", ";
        else  // one line per row, one more between matrices, as NumPy does
          out << ',' << std::string(static_cast<std::size_t>(tensor.rank() - axis - 1), '\n')
              << std::string(static_cast<std::size_t>(axis) + 1, ' ');
      }
      first = false;
      if (i < 0)
        out << "...";
      else
        print(axis + 1, offset * tensor.size(axis) + i);
    });
    out << ']';
  }
};

}  // namespace

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  if (!tensor.defined()) return out << "(no tensor)";
  Printer printer{out, tensor, tensor.numel() <= kPrintWhole};
  printer.measure(0, 0);
  printer.print(0, 0);
  return out;
}

}  // namespace boxgrad
