// Fails a whole run of the double-precision suite when the gradient of some op was never checked.
//
// An op counts when it is written in the library (op_names.inc, which the Makefile collects from
// the calls of from_op) or when the suite ran it, and it is covered when it ran inside a gradcheck
// that passed.

// Catch2 2 hides the interface of listeners unless asked; Catch2 3 does not know this name.
#define CATCH_CONFIG_EXTERNAL_INTERFACES

#include <cstdlib>
#include <iostream>
#include <memory>
#include <set>
#include <string>

#include "core/autograd.h"
#include "core/gradcheck.h"
#include "tests/catch.h"

#ifdef BOXGRAD_DOUBLE

namespace {

using namespace boxgrad;

const std::set<std::string> kLibraryOps = {
#include "op_names.inc"
};

// Ops that tests define for themselves, some of them wrong on purpose.
const std::set<std::string> kTestOps = {
#include "test_op_names.inc"
};

/// Which ops ran on the main thread, where tests run theirs.
struct OpNames : OpObserver {
  std::set<std::string> names;
  void after_forward(const Op& op) override { names.insert(op.name); }
};

#if __has_include(<catch2/catch_all.hpp>)
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

class CoverageListener : public ListenerBase {
 public:
  using ListenerBase::ListenerBase;

  void testRunStarting(const Catch::TestRunInfo&) override { seen_ = std::make_unique<OpNames>(); }

  void testRunEnded(const Catch::TestRunStats& stats) override {
    std::set<std::string> wanted = kLibraryOps;
    for (const std::string& name : seen_->names)
      if (!kTestOps.contains(name)) wanted.insert(name);
    seen_.reset();
    if (stats.aborting || m_config->hasTestFilters()) return;  // only a whole run can tell
    static std::string missing;
    for (const std::string& name : wanted)
      if (!gradchecked_ops().contains(name)) missing += " " + name;
    if (missing.empty()) {
      std::cout << "gradient checks: all " << wanted.size() << " ops are covered" << std::endl;
      return;
    }
    // A listener cannot fail the run, but the exit status is ours to change once the report is out.
    std::atexit([] {
      std::cout << "FAILED: no passing gradcheck ran these ops:" << missing << std::endl;
      std::_Exit(1);
    });
  }

 private:
  std::unique_ptr<OpNames> seen_;
};

CATCH_REGISTER_LISTENER(CoverageListener)

}  // namespace

#endif
