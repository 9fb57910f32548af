#include "core/autograd.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <unordered_set>

#include "core/tensor_impl.h"

namespace boxgrad {

// --- the graph ------------------------------------------------------------------------------
//
//   y (Tensor) -> y's slot -> Node "matmul" -> slots of a and b -> the Nodes that made them ...
//
// A slot owns the node that produced its tensor, a node owns the slots of its inputs: ownership
// runs backwards in time like the gradients, and a graph that nobody holds frees itself.

struct Node {
  const char* op;
  std::string module_path;
  std::vector<std::shared_ptr<GradSlot>> inputs;  ///< null where no gradient is wanted
  Backward backward;

  Node(const char* name, std::vector<std::shared_ptr<GradSlot>> slots, Backward closure)
      : op(name),
        module_path(current_module_path()),
        inputs(std::move(slots)),
        backward(std::move(closure)) {}
  ~Node();
};

namespace {

thread_local bool recording = true;
thread_local std::string module_path;
thread_local std::vector<OpObserver*> observers;
thread_local const char* current_work = nullptr;
thread_local bool walking_back = false;
thread_local std::string op_remark;

void tell_boundary() {
  for (OpObserver* observer : observers) observer->at_boundary(current_work);
}

/// Around a backward closure: its ops belong to the module that the op ran in.
class ClosureScope {
 public:
  explicit ClosureScope(const std::string& path)
      : path_before_(std::exchange(module_path, path)),
        walking_before_(std::exchange(walking_back, true)) {}
  ~ClosureScope() {
    module_path = std::move(path_before_);
    walking_back = walking_before_;
  }
  ClosureScope(const ClosureScope&) = delete;
  ClosureScope& operator=(const ClosureScope&) = delete;

 private:
  std::string path_before_;
  bool walking_before_;
};

/// A chain of a million ops would overflow the stack if each node's destructor ran the next
/// one's. A dying node parks what it owns here instead, and the outermost one empties the park.
struct Remains {
  std::vector<std::shared_ptr<GradSlot>> inputs;
  Backward backward;
};
thread_local std::vector<Remains>* graveyard = nullptr;

}  // namespace

Node::~Node() {
  Remains remains{std::move(inputs), std::move(backward)};
  if (graveyard != nullptr) {
    graveyard->push_back(std::move(remains));
    return;
  }
  std::vector<Remains> park;
  graveyard = &park;
  park.push_back(std::move(remains));
  while (!park.empty()) {
    const Remains last = std::move(park.back());
    park.pop_back();
  }  // `last` dies here and may park more
  graveyard = nullptr;
}

Tensor from_op(const char* op, Tensor output, std::vector<Tensor> inputs, Backward backward) {
  const bool wanted =
      recording && std::ranges::any_of(inputs, [](const Tensor& x) { return x.requires_grad(); });
  if (wanted) {
    std::vector<std::shared_ptr<GradSlot>> slots;
    slots.reserve(inputs.size());
    for (const Tensor& input : inputs) slots.push_back(input.grad_slot());
    AutogradAccess::set_history(output,
                                std::make_shared<Node>(op, std::move(slots), std::move(backward)));
  }
  if (!observers.empty()) {
    const std::string remark = std::exchange(op_remark, {});
    const OpObserver::Op event{op, module_path, output, inputs, output.id(), {}, remark};
    for (OpObserver* observer : observers) observer->after_forward(event);
  }
  return output;
}

// --- slots ----------------------------------------------------------------------------------

namespace {
std::uint64_t next_id() {
  static std::atomic<std::uint64_t> counter{0};
  return ++counter;
}
}  // namespace

GradSlot::GradSlot(Shape shape) : shape_(std::move(shape)), id_(next_id()) {}
GradSlot::~GradSlot() = default;

std::span<const Scalar> GradSlot::data() const {
  if (!written_) return {};
  return {buffer_->data(), static_cast<std::size_t>(shape_.numel())};
}

GradSlot::Target GradSlot::target() {
  if (!buffer_)
    buffer_ = std::make_shared<Buffer>(shape_.numel(), Buffer::Fill::none, Buffer::Use::gradient);
  const Scalar beta = written_ ? Scalar{1} : Scalar{0};
  written_ = true;
  return {buffer_->data(), beta};
}

std::span<Scalar> GradSlot::zeroed() {
  const auto [dx, beta] = target();
  const auto count = static_cast<std::size_t>(shape_.numel());
  if (beta == 0) std::fill_n(dx, count, Scalar{0});
  return {dx, count};
}

void GradSlot::add(const Tensor& gradient) {
  check(gradient.numel() == shape_.numel(), "backward: a gradient of shape ", gradient.shape(),
        " does not fit a tensor of shape ", shape_);
  const std::shared_ptr<Buffer>& numbers = AutogradAccess::numbers(gradient);
  if (!written_ && numbers.use_count() == 1) {
    buffer_ = numbers;
    written_ = true;
    return;
  }
  const Scalar* dy = numbers->data();
  accumulate([dy](std::size_t i) { return dy[i]; });
}

// --- tensor's gradient side -----------------------------------------------------------------

Tensor& Tensor::requires_grad_(bool value) {
  check(is_leaf(),
        "requires_grad_: only leaves can be changed; this tensor was made by an op "
        "(detach() it first)");
  impl_->slot->requires_grad_ = value;
  return *this;
}

bool Tensor::requires_grad() const { return defined() && impl_->slot->requires_grad_; }
bool Tensor::is_leaf() const {
  check(defined(), "Tensor: this handle holds no tensor");
  return !impl_->slot->producer_ && !impl_->slot->freed_;
}
bool Tensor::has_grad() const { return defined() && impl_->slot->written_; }

Tensor Tensor::grad() const {
  check(defined(), "Tensor: this handle holds no tensor");
  const GradSlot& slot = *impl_->slot;
  return slot.written_ ? make_tensor(shape(), slot.buffer_) : Tensor(shape());
}

void Tensor::zero_grad() {
  check(defined(), "Tensor: this handle holds no tensor");
  GradSlot& slot = *impl_->slot;
  slot.written_ = false;
  // Someone may still look at the old gradient through grad(): leave it to them.
  if (slot.buffer_.use_count() > 1) slot.buffer_.reset();
}

void Tensor::retain_grad() {
  check(defined(), "Tensor: this handle holds no tensor");
  impl_->slot->retain_ = true;
}

std::shared_ptr<GradSlot> Tensor::grad_slot() const {
  return requires_grad() ? impl_->slot : nullptr;
}

std::uint64_t Tensor::id() const {
  check(defined(), "Tensor: this handle holds no tensor");
  return impl_->slot->id();
}

const std::shared_ptr<Buffer>& AutogradAccess::numbers(const Tensor& tensor) {
  return tensor.impl_->numbers;
}

void AutogradAccess::set_history(Tensor& tensor, std::shared_ptr<Node> node) {
  GradSlot& slot = *tensor.impl_->slot;
  check(!slot.producer_, "from_op: \"", node->op, "\" must return a tensor without history");
  slot.requires_grad_ = true;
  slot.producer_ = std::move(node);
}

// --- the walk -------------------------------------------------------------------------------

/// Every slot that an op produced, inputs before outputs. Iterative, as graphs are deep.
static std::vector<std::shared_ptr<GradSlot>> topological_order(
    const std::shared_ptr<GradSlot>& root) {
  struct Visit {
    std::shared_ptr<GradSlot> slot;
    std::size_t next_input = 0;
  };
  std::vector<std::shared_ptr<GradSlot>> order;
  std::unordered_set<const GradSlot*> seen;
  std::vector<Visit> stack;
  const auto enter = [&](const std::shared_ptr<GradSlot>& slot) {
    if (!slot || !seen.insert(slot.get()).second) return;
    if (AutogradAccess::freed(*slot))
      throw std::logic_error(
          "backward: this graph was already used and freed; run the forward pass again");
    if (AutogradAccess::producer(*slot)) stack.push_back({slot});
  };
  enter(root);
  while (!stack.empty()) {
    Visit& top = stack.back();
    const Node& node = *AutogradAccess::producer(*top.slot);
    if (top.next_input < node.inputs.size()) {
      enter(node.inputs[top.next_input++]);  // may reallocate the stack: `top` ends here
    } else {
      order.push_back(top.slot);
      stack.pop_back();
    }
  }
  return order;
}

/// The gradient that a backward pass starts from. The ops below only read the caller's numbers; a
/// leaf, and a tensor that keeps its gradient, get their own copy (through another handle, so that
/// they are seen to be held twice).
void AutogradAccess::start(GradSlot& slot, const Tensor& gradient) {
  if (!slot.producer_ || slot.retain_) return slot.add(gradient.detach());
  check(gradient.numel() == slot.shape_.numel(), "backward: a gradient of shape ", gradient.shape(),
        " does not fit a tensor of shape ", slot.shape_);
  slot.buffer_ = numbers(gradient);
  slot.written_ = true;
}

void AutogradAccess::step_back(GradSlot& slot) {
  const std::shared_ptr<Node> node = std::move(slot.producer_);
  slot.producer_ = nullptr;
  slot.freed_ = true;
  // An output that nobody wrote a gradient for passes none on.
  if (!slot.written_) return;
  const Tensor dy = make_tensor(slot.shape_, slot.retain_ ? slot.buffer_ : std::move(slot.buffer_));
  if (!slot.retain_) {
    slot.buffer_ = nullptr;
    slot.written_ = false;
  }
  const ClosureScope scope(node->module_path);
  if (observers.empty()) {
    node->backward(dy);
    return;
  }
  const OpObserver::Op event{node->op, node->module_path, Tensor(), {}, slot.id_, node->inputs, {}};
  for (OpObserver* observer : observers) observer->before_backward(event, dy);
  node->backward(dy);
  for (OpObserver* observer : observers) observer->after_backward(event, dy);
}

void Tensor::backward() const {
  check(numel() == 1,
        "backward: needs a tensor with one element (or a gradient to start from), "
        "got shape ",
        shape());
  backward(Tensor(shape(), Scalar{1}));
}

void Tensor::backward(const Tensor& gradient) const {
  check(gradient.shape() == shape(), "backward: gradient must have the tensor's shape ", shape(),
        ", got ", gradient.shape());
  if (!requires_grad())
    throw std::logic_error(
        "backward: nothing that this tensor was computed from requires a gradient");
  const NoGradGuard no_grad;
  std::vector<std::shared_ptr<GradSlot>> order = topological_order(impl_->slot);
  AutogradAccess::start(*impl_->slot, gradient);
  while (!order.empty()) {  // last first; each node, its closure and its gradient die in the loop
    AutogradAccess::step_back(*order.back());
    order.pop_back();
  }
}

// --- guards, scopes, observers --------------------------------------------------------------

bool grad_enabled() { return recording; }
NoGradGuard::NoGradGuard() : before_(recording) { recording = false; }
NoGradGuard::~NoGradGuard() { recording = before_; }

ModuleScope::ModuleScope(const std::string& name) : length_before_(module_path.size()) {
  if (!observers.empty()) tell_boundary();
  if (name.empty()) return;
  if (!module_path.empty()) module_path += '.';
  module_path += name;
}
ModuleScope::~ModuleScope() {
  if (!observers.empty()) tell_boundary();
  module_path.resize(length_before_);
}
const std::string& current_module_path() { return module_path; }

WorkScope::WorkScope(const char* name) : before_(current_work) {
  if (!observers.empty()) tell_boundary();
  current_work = name;
}
WorkScope::~WorkScope() {
  if (!observers.empty()) tell_boundary();
  current_work = before_;
}

bool in_backward() { return walking_back; }
bool ops_are_observed() { return !observers.empty(); }
void remark_on_op(std::string remark) { op_remark = std::move(remark); }

OpObserver::OpObserver() { observers.push_back(this); }
OpObserver::~OpObserver() { std::erase(observers, this); }

}  // namespace boxgrad
