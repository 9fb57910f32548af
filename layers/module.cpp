#include "layers/module.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/autograd.h"
#include "core/check.h"

namespace boxgrad::nn {

namespace {

thread_local OutputTap* current_tap = nullptr;

std::string join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < 5; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > 5) text += concat(" and ", names.size() - 5, " more");
  return text;
}

}  // namespace

Tensor Child::operator()(const Tensor& x) const { return module().call(place_->name, x); }

Module& Child::module() const {
  if (place_ == nullptr) throw std::logic_error("Child: no module was put here by add_module()");
  return *place_->module;
}

const std::string& Child::name() const {
  module();
  return place_->name;
}

Tensor Module::forward(const Tensor&) {
  throw std::logic_error(concat("Module::forward: \"", name_, "\" is not called with one tensor"));
}

Tensor Module::call(const std::string& name, const Tensor& x) {
  const ModuleScope scope(name);
  Tensor y = forward(x);
  for (OutputTap* tap = current_tap; tap != nullptr; tap = tap->before_) {
    const auto wanted = tap->outputs_.find(current_module_path());
    if (wanted != tap->outputs_.end()) wanted->second = y;
  }
  return y;
}

// --- the tree ---

void Module::check_free(const std::string& name) const {
  check(!name.empty() && name.find('.') == std::string::npos,
        "Module: a name must not be empty or contain a dot, got \"", name, "\"");
  const auto named = [&](const auto& entry) { return entry.first == name; };
  check(std::ranges::none_of(parameters_, named) && std::ranges::none_of(buffers_, named) &&
            std::ranges::none_of(children_, named),
        "Module: the name \"", name, "\" is taken");
}

Tensor Module::add_parameter(const std::string& name, Tensor value) {
  check_free(name);
  value.requires_grad_();
  parameters_.emplace_back(name, value);
  return value;
}

Tensor Module::add_buffer(const std::string& name, Tensor value) {
  check_free(name);
  buffers_.emplace_back(name, value);
  return value;
}

Child Module::add_module(const std::string& name, std::shared_ptr<Module> child) {
  check_free(name);
  check(child != nullptr, "Module: child \"", name, "\" is null");
  child->name_ = name;
  children_.emplace_back(name, Child(name, std::move(child)));
  return children_.back().second;
}

void Module::visit(const std::function<void(const std::string&, Module&)>& f) {
  const std::function<void(const std::string&, Module&)> walk = [&](const std::string& path,
                                                                    Module& module) {
    f(path, module);
    for (const auto& [name, child] : module.children_) walk(join(path, name), child.module());
  };
  walk("", *this);
}

namespace {
/// Appends entries under a path, each tensor only the first time it is met.
void append(StateDict& to, std::set<std::uint64_t>& seen, const std::string& path,
            const StateDict& entries) {
  for (const auto& [name, tensor] : entries)
    if (seen.insert(tensor.id()).second) to.emplace_back(join(path, name), tensor);
}
}  // namespace

StateDict Module::parameters() const {
  StateDict all;
  std::set<std::uint64_t> seen;
  const_cast<Module*>(this)->visit([&](const std::string& path, Module& module) {
    append(all, seen, path, module.parameters_);
  });
  return all;
}

StateDict Module::state_dict() const {
  StateDict all;
  std::set<std::uint64_t> seen;
  const_cast<Module*>(this)->visit([&](const std::string& path, Module& module) {
    append(all, seen, path, module.parameters_);
    append(all, seen, path, module.buffers_);
  });
  return all;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : parameters()) count += tensor.numel();
  return count;
}

Module* Module::find(const std::string& path) {
  if (path.empty()) return this;
  const std::size_t dot = path.find('.');
  for (const auto& [name, child] : children_)
    if (name == path.substr(0, dot))
      return dot == std::string::npos ? &child.module() : child.module().find(path.substr(dot + 1));
  return nullptr;
}

void Module::replace(const std::string& path, std::shared_ptr<Module> module) {
  check(module != nullptr, "Module::replace: the new module for \"", path, "\" is null");
  const std::size_t dot = path.rfind('.');
  Module* parent = dot == std::string::npos ? this : find(path.substr(0, dot));
  const std::string name = dot == std::string::npos ? path : path.substr(dot + 1);
  if (parent != nullptr)
    for (auto& [child_name, child] : parent->children_)
      if (child_name == name) {
        module->name_ = name;
        child.place_->module = std::move(module);
        return;
      }
  throw std::invalid_argument(concat("Module::replace: there is no module at \"", path, "\""));
}

int Module::replace_each(const std::function<std::shared_ptr<Module>(Module&)>& replacement) {
  std::map<Module*, std::shared_ptr<Module>> asked;
  std::vector<std::shared_ptr<Module>> replaced;  // alive, so that no address is met twice
  const std::function<void(Module&)> walk = [&](Module& parent) {
    for (auto& [name, child] : parent.children_) {
      std::shared_ptr<Module>& here = child.place_->module;
      const auto [found, first] = asked.try_emplace(here.get());
      if (first) found->second = replacement(*here);
      if (const auto& instead = found->second) {
        if (first) replaced.push_back(here);
        instead->name_ = name;
        here = instead;
      } else if (first) {
        walk(*here);
      }
    }
  };
  walk(*this);
  return static_cast<int>(replaced.size());
}

// --- modes ---

void Module::train(bool on) {
  visit([on](const std::string&, Module& module) { module.training_ = on; });
}

EvaluationMode::EvaluationMode(Module& model) {
  model.visit([this](const std::string&, Module& module) {
    modes_.emplace_back(&module, module.is_training());
  });
  model.eval();
}

// Parents come first and set their children, so children have the last word.
EvaluationMode::~EvaluationMode() {
  for (const auto& [module, training] : modes_) module->train(training);
}

void Module::set_requires_grad(bool value) {
  for (auto& [name, parameter] : parameters()) Tensor(parameter).requires_grad_(value);
}

void Module::zero_grad() {
  for (auto& [name, parameter] : parameters()) Tensor(parameter).zero_grad();
}

// --- loading ---

std::string LoadReport::summary() const {
  std::string text = concat(loaded.size(), " loaded");
  if (!missing.empty()) text += concat("; ", missing.size(), " not in the file: ", list(missing));
  if (!unexpected.empty())
    text += concat("; ", unexpected.size(), " not in the model: ", list(unexpected));
  return text;
}

LoadReport Module::load_partial(const StateDict& state, const std::string& prefix) {
  std::map<std::string, Tensor> given;
  LoadReport report;
  const StateDict own = state_dict();
  for (const auto& [name, tensor] : state)
    if (name.starts_with(prefix))
      check(given.emplace(name.substr(prefix.size()), tensor).second, "load: \"", name,
            "\" is given twice");

  // Target and source; nothing changes before all fit.
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (const auto& [name, tensor] : own) {
    const auto source = given.find(name);
    if (source == given.end()) {
      report.missing.push_back(name);
      continue;
    }
    check(source->second.defined(), "load: \"", name, "\" must hold numbers, got no tensor");
    check(source->second.shape() == tensor.shape(), "load: \"", name, "\" must have shape ",
          tensor.shape(), ", got ", source->second.shape());
    copies.emplace_back(tensor, source->second);
    report.loaded.push_back(name);
    given.erase(source);
  }
  for (const auto& [name, tensor] : given) report.unexpected.push_back(name);
  for (auto& [target, source] : copies)
    std::ranges::copy(std::as_const(source).data(), target.data().begin());
  return report;
}

void Module::load_state_dict(const StateDict& state) {
  // Names first, so that a refusal changes nothing; load_partial checks the
  // shapes before copying.
  std::set<std::string> own, given;
  for (const auto& [name, tensor] : state_dict()) own.insert(name);
  for (const auto& [name, tensor] : state) given.insert(name);
  std::vector<std::string> missing, unexpected;
  std::ranges::set_difference(own, given, std::back_inserter(missing));
  std::ranges::set_difference(given, own, std::back_inserter(unexpected));
  check(missing.empty(), "load: missing ", list(missing));
  check(unexpected.empty(), "load: the model has no ", list(unexpected));
  load_partial(state);
}

// --- outputs by path ---

OutputTap::OutputTap(std::vector<std::string> paths) : before_(current_tap) {
  for (std::string& path : paths) outputs_.emplace(std::move(path), Tensor());
  current_tap = this;
}

OutputTap::~OutputTap() { current_tap = before_; }

bool OutputTap::wants(const std::string& name) {
  for (const OutputTap* tap = current_tap; tap != nullptr; tap = tap->before_)
    if (tap->outputs_.contains(join(current_module_path(), name))) return true;
  return false;
}

Tensor OutputTap::output(const std::string& path) const {
  const auto found = outputs_.find(path);
  check(found != outputs_.end() && found->second.defined(), "OutputTap: the module at \"", path,
        "\" did not run");
  return found->second;
}

}  // namespace boxgrad::nn
