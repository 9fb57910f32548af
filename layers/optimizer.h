#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "layers/module.h"

namespace boxgrad::nn {

/// How the parameters whose dotted path matches `pattern` as a whole (ECMAScript regular
/// expression) are treated. A parameter belongs to the first group that matches; one that matches
/// none has multipliers 1 and is not clipped.
///
///   {.pattern = ".*\\.bias", .rate = 2, .decay = 0}     // biases as in Fast R-CNN's code
struct ParameterGroup {
  std::string pattern;
  double rate = 1;      ///< times the learning rate
  double decay = 1;     ///< times the weight decay
  double max_norm = 0;  ///< largest norm of this group's gradients together; 0: any
};

/// What optimisers share: which parameters they move, groups, accumulation and clipping. The loop
/// around one is
///
///   optimizer.zero_grad();
///   loss.backward();
///   optimizer.step(schedule(iteration));
///
/// A parameter that does not require a gradient is frozen: it is not moved and keeps no state. One
/// that got no gradient since zero_grad() is left alone, decay included (in torch its grad is
/// None). Make the optimiser after the network has its final parameters: it holds their handles.
///
/// With `accumulate` = k, every k calls of step() move the parameters once, by the mean of their k
/// gradients (Caffe's iter_size); the calls of step() and zero_grad() between do nothing.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Moves every parameter by its gradient, at the learning rate `rate_factor` * rate(); the
  /// factor is a schedule's value (layers/schedule.h). Throws unless it is >= 0 and finite.
  void step(double rate_factor = 1);

  /// Forgets the gradients of all parameters.
  void zero_grad();

  /// The L2 norm of all gradients together, over which they are scaled down to `max_norm` if it
  /// is larger. Computed in double and in fixed order: the same bits for any number of threads.
  /// A norm that is not finite changes nothing. Between the updates of an accumulation it returns
  /// the norm so far and clips nothing.
  ///
  /// Equals torch.nn.utils.clip_grad_norm_, which divides by norm + 1e-6.
  /// Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", 2013.
  double clip_gradients(double max_norm);

  double rate() const { return rate_; }          ///< the base learning rate
  std::int64_t steps() const { return steps_; }  ///< how often the parameters were moved

  /// Copies of what continuing needs beside the parameters: "steps" [2] (updates and calls of
  /// step() since the last one), "<path>.<kind>" for each parameter that was moved, and
  /// "<path>.gradient" in the midst of an accumulation.
  StateDict state_dict() const;

  /// Throws std::invalid_argument, and changes nothing, when a name or a shape does not belong
  /// here or part of a parameter's state is missing.
  void load_state_dict(const StateDict& state);

 protected:
  /// One parameter and what is remembered about it.
  struct Slot {
    std::string path;
    Tensor parameter;
    int group = -1;             ///< -1: none
    std::vector<Tensor> state;  ///< empty until the parameter first moves
  };

  /// What one update multiplies with.
  struct Factors {
    double rate;      ///< learning rate of this step and group
    double decay;     ///< of this group
    double gradient;  ///< for accumulation and clipping
  };

  /// `name` is for messages; `kinds` are the names of the tensors of Slot::state.
  Optimizer(std::string name, const StateDict& parameters, double rate, int accumulate,
            std::vector<ParameterGroup> groups, std::vector<std::string> kinds);

  /// The state of a parameter that has not moved yet, in the order of `kinds`.
  virtual std::vector<Tensor> initial_state(const Tensor& parameter) const = 0;
  /// Moves one parameter that has a gradient, in one pass over its numbers.
  virtual void update(Slot& slot, const Factors& factors) = 0;

 private:
  double gradient_norm(int group) const;

  std::string name_;
  double rate_;
  int accumulate_, accumulated_ = 0;
  std::vector<ParameterGroup> groups_;
  std::vector<std::string> kinds_;
  std::vector<Slot> slots_;
  std::int64_t steps_ = 0;
};

}  // namespace boxgrad::nn
