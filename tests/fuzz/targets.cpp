#include "tests/fuzz/targets.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <stdexcept>

#include "core/check.h"
#include "tests/memory_folder.h"

namespace boxgrad::fuzz {

namespace fs = std::filesystem;

namespace {

constexpr std::array<Target, 8> kTargets = {{{"idx", 4096, idx},
                                             {"voc", 4096, voc},
                                             {"coco", 4096, coco},
                                             {"safetensors", 4096, safetensors},
                                             {"tfjs", 4096, tfjs},
                                             {"checkpoint", 4096, checkpoint},
                                             {"jpeg", 8192, jpeg},
                                             {"png", 8192, png}}};

struct Scratch {
  fs::path path;
  Scratch() {
    path = memory_folder("fuzz");
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

}  // namespace

std::span<const Target> targets() { return kTargets; }

void require(bool condition, const char* promise) {
  if (!condition) throw std::logic_error(concat("broken promise: ", promise));
}

void require_message(const std::string& text) {
  require(!text.empty() && text.find('\n') == std::string::npos, "an error is one line");
}

const fs::path& folder() {
  static const Scratch scratch;
  return scratch.path;
}

fs::path write(const std::string& name, Bytes bytes) {
  const fs::path path = folder() / name;
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return path;
}

std::pair<Bytes, Bytes> split(Bytes bytes) {
  const auto zero = std::ranges::find(bytes, 0);
  const auto length = static_cast<std::size_t>(zero - bytes.begin());
  return {bytes.first(length), zero == bytes.end() ? Bytes() : bytes.subspan(length + 1)};
}

bool is_inside(const fs::path& path, const fs::path& root) {
  const fs::path target = fs::weakly_canonical(path), base = fs::weakly_canonical(root);
  return std::mismatch(base.begin(), base.end(), target.begin(), target.end()).first == base.end();
}

}  // namespace boxgrad::fuzz
