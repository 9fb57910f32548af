#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>

namespace boxgrad {

/// A progress bar for whatever takes more than two seconds.
///
///   Progress progress("training", 3000);
///   for (...) { ...; progress.update(step + 1, "loss 1.23"); }
///
/// On a terminal one line is redrawn, at most ten times a second: bar, percent, rate, time left and
/// the note. Into a pipe or a file goes a plain line each ten percent or ten seconds, whichever is
/// rarer, so that logs stay readable. Nothing is shown of work that ends within two seconds.
class Progress {
 public:
  Progress(std::string title, std::int64_t total);
  /// To another stream, as if it were a terminal or not: for tests.
  Progress(std::string title, std::int64_t total, std::ostream& out, bool terminal);
  ~Progress();  ///< ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` steps are done; `note` is shown behind the numbers. What was done before the
  /// first update (of a resumed training) does not count for the rate.
  void update(std::int64_t done, const std::string& note = "");
  /// There is more or less to do than was thought.
  void set_total(std::int64_t total) { total_ = total; }
  /// Since the beginning.
  double seconds() const;
  /// Takes the bar away so that other text can be printed; the next update brings it back.
  void clear();

  /// A line of text that stays, above the bar. Not shown within the first two seconds either.
  void line(const std::string& text);

  /// "1:05", "2:03:10": a duration for people.
  static std::string duration(double seconds);

 private:
  using Clock = std::chrono::steady_clock;
  void draw(double seconds);

  std::string title_, note_;
  std::int64_t total_, done_ = 0, first_ = -1;
  std::ostream& out_;
  bool terminal_, visible_ = false;
  Clock::time_point start_ = Clock::now();
  double last_seconds_ = -1;
  double last_percent_ = 0;
};

}  // namespace boxgrad
