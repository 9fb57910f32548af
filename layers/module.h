#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace boxgrad::nn {

/// Tensors with their dotted paths, in the order of registration.
using StateDict = std::vector<std::pair<std::string, Tensor>>;

/// What a partial load did.
struct LoadReport {
  std::vector<std::string> loaded;      ///< entries of the module that were filled
  std::vector<std::string> missing;     ///< entries of the module that the state does not have
  std::vector<std::string> unexpected;  ///< entries of the state that the module does not have
  std::string summary() const;
};

class Module;

/// A place in a module's tree: its name in the parent, and whatever module stands there now. A
/// member of this type keeps working when its module is replaced, which a pointer to the old one
/// would not. The name is the place's because a module may stand in several.
class Child {
 public:
  Child() = default;
  /// The module's output, computed in the scope of this place's name.
  Tensor operator()(const Tensor& x) const;
  /// The module that stands there, and the place's name in its parent. Both throw std::logic_error
  /// for a Child that no add_module() returned.
  Module& module() const;
  const std::string& name() const;
  /// The module as the type that is expected there; throws std::logic_error
  /// when it is another.
  template <class M>
  M& as() const {
    if (M* found = dynamic_cast<M*>(&module())) return *found;
    throw std::logic_error("Child: the module \"" + place_->name + "\" is of another type");
  }

 private:
  friend class Module;
  struct Place {
    std::string name;
    std::shared_ptr<Module> module;
  };
  Child(std::string name, std::shared_ptr<Module> module)
      : place_(std::make_shared<Place>(Place{std::move(name), std::move(module)})) {}
  std::shared_ptr<Place> place_;
};

/// A piece of a network: parameters that are learned, buffers that are kept
/// (running statistics) and children, all by name. Children are held by
/// shared_ptr: one can be replaced (SVD compression, folding), or stand in two
/// places (towers shared over feature maps).
///
///   struct Net : nn::Module {
///     nn::Child conv = add_module("conv", std::make_shared<nn::Conv2d>(3, 16, 3));
///     Tensor forward(const Tensor& x) override { return relu(conv(x)); }
///   };
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// y = f(x); modules with other signatures leave it alone and it throws
  /// std::logic_error.
  virtual Tensor forward(const Tensor& x);

  /// forward() inside the scope of this module's name, so that every op knows where it ran
  /// (current_module_path() in core/autograd.h), shown to the OutputTap that asks for it. Call a
  /// module that stands in several places through its Child: that knows which place is meant.
  Tensor operator()(const Tensor& x) { return call(name_, x); }
  /// The name of the place that was given this module last; "" for a root.
  const std::string& name() const { return name_; }

  // --- the tree ---
  /// Every parameter once (also when a child is shared), with the path of its
  /// first place.
  StateDict parameters() const;
  /// Parameters and buffers.
  StateDict state_dict() const;
  /// Number of learned numbers, shared ones once.
  std::int64_t parameter_count() const;
  /// The descendant at a dotted path, or null; "" is this module.
  Module* find(const std::string& path);
  /// Puts another module in the place of the descendant at `path`; throws when
  /// there is none.
  void replace(const std::string& path, std::shared_ptr<Module> module);
  /// Puts replacement(m) in the place of every module m below this one for which it is not null;
  /// one that stands in several places is asked once and stays shared. What is below a replaced
  /// module is not looked at. Returns how many modules were replaced.
  int replace_each(const std::function<std::shared_ptr<Module>(Module&)>& replacement);
  /// Calls f(path, module) for this module ("") and all descendants, parents
  /// first.
  void visit(const std::function<void(const std::string&, Module&)>& f);

  // --- modes ---
  /// Training or evaluation, for this module and all descendants (batch norm,
  /// dropout).
  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }
  /// Whether the parameters of this module and its descendants want gradients.
  void set_requires_grad(bool value);
  void zero_grad();

  // --- loading ---
  /// Copies all entries. Throws std::invalid_argument, and changes nothing,
  /// unless names and shapes agree exactly.
  void load_state_dict(const StateDict& state);
  /// Copies the entries whose name starts with `prefix` (which is cut off) and
  /// exists here, and says what happened to the others. A shape that differs, or a name given
  /// twice, throws and changes nothing.
  LoadReport load_partial(const StateDict& state, const std::string& prefix = "");

 protected:
  /// Registers a learned tensor under PyTorch's name ("weight", "bias").
  /// Returns the handle.
  Tensor add_parameter(const std::string& name, Tensor value);
  Tensor add_buffer(const std::string& name, Tensor value);
  /// Registers a child; the same module may be added in several places and is
  /// then shared.
  Child add_module(const std::string& name, std::shared_ptr<Module> child);
  const std::vector<std::pair<std::string, Child>>& children() const { return children_; }

 private:
  friend class Child;
  Tensor call(const std::string& name, const Tensor& x);
  void check_free(const std::string& name) const;

  std::string name_;
  bool training_ = true;
  StateDict parameters_, buffers_;
  std::vector<std::pair<std::string, Child>> children_;
};

/// While it lives a model is in evaluation mode; afterwards each of its modules is in the mode in
/// which it was before. For whatever looks at a network and must not move its running statistics.
/// No module may be replaced meanwhile.
class EvaluationMode {
 public:
  explicit EvaluationMode(Module& model);
  ~EvaluationMode();
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  std::vector<std::pair<Module*, bool>> modes_;  ///< who was training, parents first
};

/// Keeps the outputs of the modules at some paths while it lives:
///
///   OutputTap tap({"backbone.conv4", "backbone.conv5"});
///   model(x);
///   tap.output("backbone.conv4")    // with its history, so it can be trained on
///
/// A path is relative to the module that is called from outside of any other.
class OutputTap {
 public:
  explicit OutputTap(std::vector<std::string> paths);
  ~OutputTap();
  OutputTap(const OutputTap&) = delete;
  OutputTap& operator=(const OutputTap&) = delete;

  /// The last output of the module at a path; throws std::invalid_argument when
  /// it did not run.
  Tensor output(const std::string& path) const;

  /// Whether a living tap of this thread asks for the module `name` of the one that is running.
  static bool wants(const std::string& name);

 private:
  friend class Module;
  std::map<std::string, Tensor> outputs_;
  OutputTap* before_;
};

}  // namespace boxgrad::nn
