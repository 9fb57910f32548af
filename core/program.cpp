#include "core/program.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <new>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "core/blas.h"
#include "core/check.h"
#include "core/parallel.h"
#include "core/printable.h"
#include "core/random.h"
#include "core/scalar.h"

namespace boxgrad {

struct Program::Impl {
  explicit Impl(ProgramInfo about) : info(std::move(about)), app(info.about, info.name) {}
  ProgramInfo info;
  CLI::App app;
  int threads = 0;  ///< 0: not given
  std::uint64_t seed = 0;
  std::filesystem::path out;
  bool quick = false;

  /// An option with one value, through the part of CLI11 that is not a template.
  void add(const std::string& name, const std::string& type, const std::string& help,
           const std::string& default_text, std::function<void(const std::string&)> assign) {
    const auto callback = [name, assign = std::move(assign)](const CLI::results_t& texts) {
      try {
        assign(texts.at(0));
      } catch (const std::invalid_argument& error) {
        throw CLI::ValidationError(name, error.what());
      }
      return true;
    };
    app.add_option(name, callback, help)->type_name(type)->default_str(default_text);
  }
};

namespace {

constexpr double kHuge = std::numeric_limits<double>::max();

/// Some messages of CLI11 and of the standard library span lines; scripts and eyes want one. Names
/// from files stand in many.
std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (char& c : text)
    if (c == '\n' || c == '\r') c = ' ';
  return printable_whole(text);
}

int fail(int status, const std::string& message) {
  std::cout.flush();
  std::cerr << "error: " << one_line(message) << std::endl;
  return status;
}

// Texts become values here rather than in CLI11's templates: those take "1.5" for an int in some
// versions and "nan" for a rate in all, and cost seconds of compilation for every type.

[[noreturn]] void refuse(const std::string& expected, const std::string& text) {
  throw std::invalid_argument(concat("expected ", expected, ", got \"", text, "\""));
}

template <class Integer>
Integer to_integer(const std::string& text, Integer min, Integer max) {
  Integer value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < min || value > max)
    refuse(concat("a whole number from ", min, " to ", max), text);
  return value;
}

double to_double(const std::string& text, double min, double max) {
  char* stop = nullptr;
  const double value = std::strtod(text.c_str(), &stop);
  const bool whole = !text.empty() && stop == text.c_str() + text.size() && text[0] != ' ';
  // Written so that NaN fails.
  if (!(whole && value >= min && value <= max))
    refuse(min > -kHuge || max < kHuge ? concat("a number from ", min, " to ", max) : "a number",
           text);
  return value;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

template <class Values>
std::string join(const Values& values, const char* separator = ",") {
  std::ostringstream text;
  bool first = true;
  for (const auto& value : values) {
    text << (first ? "" : separator) << value;
    first = false;
  }
  return text.str();
}

/// A full disk or a closed pipe must not look like success.
void check_output_was_written() {
  std::cout.flush();
  if (!std::cout || std::fflush(stdout) != 0)
    throw std::runtime_error("standard output: cannot write");
}

}  // namespace

Program::Program(ProgramInfo info) : impl_(std::make_unique<Impl>(std::move(info))) {
  CLI::App& app = impl_->app;
  app.set_help_flag("-h,--help", "show this text and stop");
  if (!impl_->info.examples.empty()) app.footer("\n" + impl_->info.examples);
  if (impl_->info.threads)
    impl_->add("--threads", "N", "threads to use (default: BOXGRAD_THREADS, else all cores)", "",
               [this](const std::string& text) { impl_->threads = to_integer(text, 1, 256); });
  impl_->add("--seed", "N", "seed of every random number", "0", [this](const std::string& text) {
    impl_->seed = to_integer<std::uint64_t>(text, 0, std::numeric_limits<std::uint64_t>::max());
  });
  std::string folder = impl_->info.name;  // of a subcommand: "boxgrad doctor"
  std::ranges::replace(folder, ' ', '_');
  impl_->out = std::filesystem::path("out") / folder;
  if (impl_->info.out) option("--out", impl_->out, "folder to write to");
  if (impl_->info.quick) flag("--quick", impl_->quick, "finish in seconds, on less data");
}

Program::~Program() = default;

void Program::flag(const std::string& name, bool& value, const std::string& help) {
  impl_->app.add_flag_callback(
      name, [&value] { value = true; }, help);
}

void Program::option(const std::string& name, std::string& value, const std::string& help) {
  impl_->add(name, "TEXT", help, value, [&value](const std::string& text) { value = text; });
}

void Program::option(const std::string& name, std::filesystem::path& value,
                     const std::string& help) {
  impl_->add(name, "PATH", help, value.string(), [&value](const std::string& text) {
    if (text.empty()) refuse("a path", text);
    value = text;
  });
}

void Program::option(const std::string& name, int& value, const std::string& help, int min,
                     int max) {
  impl_->add(name, "N", help, std::to_string(value),
             [&value, min, max](const std::string& text) { value = to_integer(text, min, max); });
}

void Program::option(const std::string& name, double& value, const std::string& help, double min,
                     double max) {
  impl_->add(name, "X", help, concat(value),
             [&value, min, max](const std::string& text) { value = to_double(text, min, max); });
}

void Program::option(const std::string& name, std::vector<int>& value, const std::string& help,
                     int min, int max) {
  impl_->add(name, "N,N,...", help, join(value), [&value, min, max](const std::string& text) {
    value.clear();
    for (const std::string& part : split(text)) value.push_back(to_integer(part, min, max));
    if (value.empty()) refuse("numbers with commas between them", text);
  });
}

void Program::option(const std::string& name, std::vector<std::string>& value,
                     const std::string& help) {
  impl_->add(name, "TEXT,...", help, join(value),
             [&value](const std::string& text) { value = split(text); });
}

void Program::arguments(const std::string& name, std::vector<std::filesystem::path>& values,
                        const std::string& help) {
  const auto take = [&values](const std::vector<std::string>& texts) {
    values.assign(texts.begin(), texts.end());
  };
  impl_->app.add_option_function<std::vector<std::string>>(name, take, help)->type_name("PATH");
}

void Program::choice(const std::string& name, std::string& value,
                     const std::vector<std::string>& words, const std::string& help) {
  impl_->add(name, join(words, "|"), help, value, [&value, words](const std::string& text) {
    if (std::find(words.begin(), words.end(), text) == words.end())
      refuse(join(words, " or "), text);
    value = text;
  });
}

int Program::run(int argc, const char* const* argv, const std::function<void()>& body) {
  const ProgramInfo& info = impl_->info;
  try {
    try {
      impl_->app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      std::cout << impl_->app.help();
      check_output_was_written();
      return 0;
    } catch (const CLI::ParseError& error) {
      return fail(1, concat(error.what(), " (", info.name, " --help lists the options)"));
    }
    if (impl_->threads > 0) set_num_threads(impl_->threads);
    set_flush_to_zero();
    manual_seed(impl_->seed);

    const int threads = num_threads();  // throws for a bad BOXGRAD_THREADS, before anything is said
    std::ostream& log = info.data_on_stdout ? std::cerr : std::cout;
    log << info.name << ": ";
    if (info.threads) log << threads << (threads == 1 ? " thread, " : " threads, ");
    log << (sizeof(Scalar) == sizeof(float) ? "float" : "double") << ", seed " << impl_->seed
        << ", " << blas_description() << std::endl;

    body();
    check_output_was_written();
    return 0;
  } catch (const std::invalid_argument& error) {
    return fail(1, error.what());
  } catch (const std::runtime_error& error) {
    return fail(1, error.what());
  } catch (const std::bad_alloc&) {
    return fail(2, "out of memory");
  } catch (const std::exception& error) {
    return fail(2, concat("internal: ", error.what()));
  } catch (...) {
    return fail(2, "internal: an exception that is not a std::exception");
  }
}

std::uint64_t Program::seed() const { return impl_->seed; }
bool Program::quick() const { return impl_->quick; }
bool Program::given(const std::string& name) const { return impl_->app.count(name) > 0; }

const std::filesystem::path& Program::out() const {
  std::error_code error;
  std::filesystem::create_directories(impl_->out, error);
  if (error)
    throw std::runtime_error(
        concat("--out: cannot create the folder ", impl_->out, ": ", error.message()));
  return impl_->out;
}

}  // namespace boxgrad
