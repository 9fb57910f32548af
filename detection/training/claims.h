#pragma once

#include <string>
#include <vector>

/// What a paper says, and what came out here.
namespace boxgrad::detection {

enum class Verdict {
  reproduced,      ///< the effect is there, and at least half as large as in the paper
  direction_only,  ///< it is there, but smaller than that
  not_seen,        ///< it is the other way round, or not larger than what seeds do
};
const char* to_string(Verdict verdict);

/// How two columns of figures are compared.
enum class Effect {
  difference,  ///< larger - smaller
  ratio,       ///< larger / smaller: so many times faster, more compact
  no_loss,     ///< "costs little": `smaller` is the cheap variant, and loses at most `size`
};

/// A statement of a paper as figures: A against B, once for each seed.
///
///   judge({.what = "hard examples beat sampling", .paper = "69.9 against 67.2 mAP",
///          .effect = Effect::difference, .size = 2.7, .larger = {61, 60.4, 61.3}, .smaller =
///          {58.5, 58, 59}})
struct Claim {
  std::string what = "";    ///< a short sentence
  std::string source = "";  ///< paper, section or table
  std::string paper = "";   ///< the paper's figures, as text
  Effect effect = Effect::difference;
  /// Of the effect in the paper, in the unit of the figures. 0: the paper gives no figure, so that
  /// the direction is all there is to see.
  double size = 0;
  std::vector<double> larger = {};   ///< the side whose figures are larger in the paper, by seed
  std::vector<double> smaller = {};  ///< the other, by the same seeds
  std::string unit = "";             ///< behind figures in the table: "ms"
  int digits = 3;                    ///< behind the point
};

/// The verdict, from the paired figures of the seeds:
///
///   e_s = larger_s - smaller_s   (ratio: ln larger_s - ln smaller_s)
///   m = mean of e,   sem = its standard error, sd / sqrt(n)
///   not_seen         m <= 2 sem, or m <= 0
///   reproduced       m >= size / 2   (ratio: exp(m) - 1 >= (size - 1) / 2)
///   direction_only   otherwise
///
/// no_loss: reproduced if m + 2 sem <= size, otherwise not_seen: noise is no evidence. With a
/// single seed sem counts as 0, which no table should rest on. A size of 0, no figure in the paper:
/// reproduced or not_seen.
///
/// Throws std::invalid_argument when there are no figures, not as many on both sides, a
/// negative size, a no_loss without one, or for a ratio of figures that are not > 0.
Verdict judge(const Claim& claim);

/// "0.585 ± 0.004": mean and standard deviation; the mean alone for one figure.
std::string mean_and_spread(const std::vector<double>& values, int digits);

double mean_of(const std::vector<double>& values);
/// Of a sample (n - 1); 0 for fewer than two.
double standard_deviation(const std::vector<double>& values);

/// Rows for a table: what, paper, ours, verdict.
std::vector<std::vector<std::string>> claim_rows(const std::vector<Claim>& claims);

/// A table as Markdown, columns padded so that it reads as text, too. Throws std::invalid_argument
/// when a row has not as many cells as the header.
std::string markdown_table(const std::vector<std::string>& header,
                           const std::vector<std::vector<std::string>>& rows);

}  // namespace boxgrad::detection
