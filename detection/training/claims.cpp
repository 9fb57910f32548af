#include "detection/training/claims.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "core/check.h"

namespace boxgrad::detection {

namespace {

std::string decimal(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

/// Characters as a terminal shows them: bytes that continue a UTF-8 character do not count.
std::size_t shown_width(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::reproduced:
      return "reproduced";
    case Verdict::direction_only:
      return "direction only";
    case Verdict::not_seen:
      return "not seen";
  }
  return "?";
}

double mean_of(const std::vector<double>& values) {
  check(!values.empty(), "mean_of: no values");
  return std::accumulate(values.begin(), values.end(), 0.) / static_cast<double>(values.size());
}

double standard_deviation(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

Verdict judge(const Claim& claim) {
  check(!claim.larger.empty() && claim.larger.size() == claim.smaller.size(), "judge: \"",
        claim.what, "\" needs figures for both sides by the same seeds, got ", claim.larger.size(),
        " and ", claim.smaller.size());
  const bool bounded = claim.effect == Effect::no_loss;
  check(claim.size > 0 || (claim.size == 0 && !bounded), "judge: \"", claim.what,
        "\": size must be ", bounded ? "> 0" : ">= 0", ", got ", claim.size);
  const bool ratio = claim.effect == Effect::ratio;
  std::vector<double> effects;
  for (std::size_t s = 0; s < claim.larger.size(); ++s) {
    const double a = claim.larger[s], b = claim.smaller[s];
    check(!ratio || (a > 0 && b > 0), "judge: \"", claim.what, "\": a ratio of ", a, " and ", b);
    effects.push_back(ratio ? std::log(a) - std::log(b) : a - b);
  }
  const double mean = mean_of(effects);
  const double noise =
      2 * standard_deviation(effects) / std::sqrt(static_cast<double>(effects.size()));
  if (bounded) return mean + noise <= claim.size ? Verdict::reproduced : Verdict::not_seen;
  if (mean <= 0 || mean <= noise) return Verdict::not_seen;
  const bool half = ratio ? std::exp(mean) - 1 >= (claim.size - 1) / 2 : mean >= claim.size / 2;
  return half ? Verdict::reproduced : Verdict::direction_only;
}

std::string mean_and_spread(const std::vector<double>& values, int digits) {
  const std::string mean = decimal(mean_of(values), digits);
  return values.size() < 2 ? mean : mean + " ± " + decimal(standard_deviation(values), digits);
}

std::vector<std::vector<std::string>> claim_rows(const std::vector<Claim>& claims) {
  std::vector<std::vector<std::string>> rows;
  for (const Claim& claim : claims) {
    std::string ours = mean_and_spread(claim.larger, claim.digits) + " against " +
                       mean_and_spread(claim.smaller, claim.digits);
    if (!claim.unit.empty()) ours += " " + claim.unit;
    if (claim.effect == Effect::ratio) {
      const double ratio = mean_of(claim.larger) / mean_of(claim.smaller);
      ours += ": " + decimal(ratio, ratio < 10 ? 1 : 0) + " times";
    }
    rows.push_back({claim.what,
                    claim.source.empty() ? claim.paper : claim.paper + " (" + claim.source + ")",
                    ours, to_string(judge(claim))});
  }
  return rows;
}

std::string markdown_table(const std::vector<std::string>& header,
                           const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& cell : header) widths.push_back(shown_width(cell));
  for (const auto& row : rows) {
    check(row.size() == header.size(), "markdown_table: a row has ", row.size(),
          " cells, expected ", header.size());
    for (std::size_t c = 0; c < row.size(); ++c)
      widths[c] = std::max(widths[c], shown_width(row[c]));
  }
  std::string table;
  const auto add = [&](const std::vector<std::string>& row) {
    for (std::size_t c = 0; c < row.size(); ++c)
      table += "| " + row[c] + std::string(widths[c] - shown_width(row[c]) + 1, ' ');
    table += "|\n";
  };
  add(header);
  for (const std::size_t width : widths) table += "|" + std::string(width + 2, '-');
  table += "|\n";
  for (const auto& row : rows) add(row);
  return table;
}

}  // namespace boxgrad::detection
