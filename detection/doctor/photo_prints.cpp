#include "detection/doctor/photo_prints.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <span>

#include "core/check.h"
#include "core/files.h"
#include "core/image.h"
#include "core/image_check.h"
#include "core/parallel.h"
#include "core/progress.h"
#include "detection/data/photo_dataset.h"

namespace boxgrad::detection {

namespace {

constexpr std::int64_t kRound = 64;  // pictures between two updates of the bar

// Multiply and rotate, eight bytes at a time, in two lanes that mix differently. Not made to
// withstand people who look for collisions: nothing follows from one but a line in a report.
std::array<std::uint64_t, 2> mix_bytes(std::span<const std::uint8_t> bytes, std::uint64_t width,
                                       std::uint64_t height) {
  std::uint64_t a = 0x9e3779b97f4a7c15 ^ width, b = 0xc2b2ae3d27d4eb4f ^ height;
  const auto take = [&](std::uint64_t word) {
    a = std::rotl((a ^ word) * 0x87c37b91114253d5, 31);
    b = std::rotl((b + word) * 0x4cf5ad432745937f, 33) ^ a;
  };
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, &bytes[i], 8);
    take(word);
  }
  std::uint64_t rest = 0;
  if (i < bytes.size()) std::memcpy(&rest, &bytes[i], bytes.size() - i);
  take(rest);
  take(bytes.size());
  take(width << 32 | height);
  return {a, b};
}

PhotoPrint print_of(const std::filesystem::path& path, bool decode) {
  PhotoPrint print;
  const auto error = input_error([&] {
    const std::string name = path.filename().string();
    const std::vector<std::uint8_t> bytes = read_file(path, ImageLimits().max_file_bytes);
    const ImageHeader header = check_image(bytes, name + ": ");
    const std::string ending = lower_case(path.extension().string());
    using Format = ImageHeader::Format;
    const bool jpeg = header.format == Format::jpeg, png = header.format == Format::png;
    print.format = jpeg ? "JPEG" : png ? "PNG" : "BMP";
    print.misnamed = jpeg  ? ending != ".jpg" && ending != ".jpeg"
                     : png ? ending != ".png"
                           : ending != ".bmp";
    if (decode) {
      const Image image = Image::decode(bytes, name);
      print.bits = mix_bytes(image.data(), static_cast<std::uint64_t>(image.width()),
                             static_cast<std::uint64_t>(image.height()));
    } else {
      print.bits = mix_bytes(bytes, 0, 0);
    }
  });
  if (error) print.error = *error;
  return print;
}

}  // namespace

std::vector<PhotoPrint> photo_prints(const std::vector<std::filesystem::path>& pictures,
                                     bool decode) {
  const auto count = static_cast<std::int64_t>(pictures.size());
  std::vector<PhotoPrint> prints(pictures.size());
  Progress progress("looking at pictures", count);
  for (std::int64_t begin = 0; begin < count; begin += kRound) {
    const std::int64_t size = std::min(kRound, count - begin);
    parallel_for(size, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t k = begin + first; k < begin + last; ++k) {
        const auto i = static_cast<std::size_t>(k);
        prints[i] = print_of(pictures[i], decode);
      }
    });
    progress.update(begin + size);
  }
  return prints;
}

std::vector<std::vector<std::int64_t>> same_prints(const std::vector<PhotoPrint>& prints) {
  std::map<std::array<std::uint64_t, 2>, std::vector<std::int64_t>> by_bits;
  for (std::size_t i = 0; i < prints.size(); ++i)
    if (prints[i].error.empty()) by_bits[prints[i].bits].push_back(static_cast<std::int64_t>(i));
  std::vector<std::vector<std::int64_t>> groups;
  for (auto& [bits, members] : by_bits)
    if (members.size() > 1) groups.push_back(std::move(members));
  std::ranges::sort(groups);  // the map's order means nothing to anybody
  return groups;
}

}  // namespace boxgrad::detection
