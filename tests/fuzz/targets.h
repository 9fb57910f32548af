#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

/// What the fuzzer and the test of its corpus call with bytes that anybody may have written.
///
/// Each function hands them to a reader and returns when the reader accepts or refuses them as it
/// promises: by std::invalid_argument or std::runtime_error with one line of text. Anything else,
/// another exception, a promise broken by what was accepted, ends in a crash or an exception of the
/// caller's.
namespace boxgrad::fuzz {

using Bytes = std::span<const std::uint8_t>;

struct Target {
  const char* name;  ///< of its folder in tests/fuzz/corpus
  int max_bytes;     ///< longest input that is tried
  void (*run)(Bytes);
};

/// All of them: idx, voc, coco, safetensors, tfjs, checkpoint, jpeg, png.
std::span<const Target> targets();

// tests/fuzz/files.cpp
void idx(Bytes bytes);  ///< plain or gzip
void safetensors(Bytes bytes);
void tfjs(Bytes bytes);        ///< manifest, a byte 0, the file "shard"
void checkpoint(Bytes bytes);  ///< manifest's body, a byte 0, tensors; hashes are made to match
// tests/fuzz/annotations.cpp
void voc(Bytes bytes);  ///< a.xml, a byte 0, ImageSets/Main/train.txt
void coco(Bytes bytes);
// tests/fuzz/images.cpp
void jpeg(Bytes bytes);
void png(Bytes bytes);  ///< as it is, and once more with checksums that match

// For the targets.

/// Throws std::logic_error: a reader accepted what it must not.
void require(bool condition, const char* promise);
/// Calls f. True when it returned, false when it refused in words.
template <class F>
bool accepts(const F& f);
/// A refusal is one line, and not empty.
void require_message(const std::string& text);

/// A folder of this process, in memory where the system has such a place, made by the first call.
const std::filesystem::path& folder();
/// Writes a file below folder(), not atomically: nothing else reads it.
std::filesystem::path write(const std::string& name, Bytes bytes);
/// The bytes before the first 0 and those behind it.
std::pair<Bytes, Bytes> split(Bytes bytes);
/// Whether `path`, links followed, is in `root` or below.
bool is_inside(const std::filesystem::path& path, const std::filesystem::path& root);

template <class F>
bool accepts(const F& f) {
  try {
    f();
    return true;
  } catch (const std::invalid_argument& error) {
    require_message(error.what());
  } catch (const std::runtime_error& error) {
    require_message(error.what());
  }
  return false;
}

}  // namespace boxgrad::fuzz
