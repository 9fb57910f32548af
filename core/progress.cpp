#include "core/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>

namespace boxgrad {

namespace {
constexpr double kQuietSeconds = 2, kRedrawSeconds = 0.1, kLineSeconds = 10, kLinePercent = 10;
constexpr int kBarWidth = 24;

/// A line that wraps could not be redrawn in place: cut it to the terminal, between code points.
std::string cut_to_terminal(std::string line) {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return line;
  std::size_t columns = 0;
  for (std::size_t i = 0; i < line.size(); ++i)
    if ((static_cast<unsigned char>(line[i]) & 0xC0) != 0x80 && ++columns >= size.ws_col)
      return line.substr(0, i);
  return line;
}

}  // namespace

Progress::Progress(std::string title, std::int64_t total)
    : Progress(std::move(title), total, std::cerr, isatty(STDERR_FILENO) == 1) {}

Progress::Progress(std::string title, std::int64_t total, std::ostream& out, bool terminal)
    : title_(std::move(title)), total_(total), out_(out), terminal_(terminal) {}

Progress::~Progress() {
  if (visible_ && terminal_) {
    draw(seconds());
    out_ << std::endl;
  }
}

std::string Progress::duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  std::ostringstream text;
  text << std::setfill('0');
  if (hours > 0) text << hours << ':' << std::setw(2);
  text << minutes << ':' << std::setw(2) << whole % 60;
  return text.str();
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::update(std::int64_t done, const std::string& note) {
  if (first_ < 0) first_ = done - 1;
  done_ = done;
  note_ = note;
  const double seconds = this->seconds();
  if (seconds < kQuietSeconds) return;
  const double percent =
      total_ > 0 ? 100.0 * static_cast<double>(done) / static_cast<double>(total_) : 100;
  const bool last = done >= total_;
  const bool due = terminal_ ? seconds - last_seconds_ >= kRedrawSeconds
                             : seconds - std::max(last_seconds_, 0.0) >= kLineSeconds &&
                                   percent - last_percent_ >= kLinePercent;
  if (!due && !last) return;
  last_seconds_ = seconds;
  last_percent_ = percent;
  visible_ = true;
  draw(seconds);
}

void Progress::draw(double seconds) {
  const double share =
      total_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0)
                 : 1;
  const double rate = seconds > 0 ? static_cast<double>(done_ - first_) / seconds : 0;
  std::ostringstream line;
  line << title_ << ' ';
  if (terminal_) {
    const int filled = static_cast<int>(share * kBarWidth);
    line << '[' << std::string(static_cast<std::size_t>(filled), '#')
         << std::string(static_cast<std::size_t>(kBarWidth - filled), '.') << "] ";
  }
  line << std::setw(3) << static_cast<int>(100 * share) << "% " << done_ << '/' << total_ << "  "
       << std::setprecision(3) << rate << "/s  left "
       << duration(rate > 0 ? static_cast<double>(total_ - done_) / rate : -1);
  if (!note_.empty()) line << "  " << note_;
  if (terminal_)
    out_ << "\r\033[K" << cut_to_terminal(line.str()) << std::flush;
  else
    out_ << line.str() << std::endl;
}

void Progress::line(const std::string& text) {
  if (seconds() < kQuietSeconds) return;
  clear();
  out_ << text << std::endl;
}

void Progress::clear() {
  if (visible_ && terminal_) out_ << "\r\033[K" << std::flush;
}

}  // namespace boxgrad
