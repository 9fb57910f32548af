#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Files that are whole or not there at all, and files from strangers read with a limit.
namespace boxgrad {

/// The bytes of a text, for the functions below.
inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// A file that appears under its name only when it is complete.
///
/// Bytes go to `<path>.tmp` in the same folder; commit() brings them to the disk (fsync), renames
/// the temporary file over `path` and brings the folder's entry to the disk too. A reader, or a
/// machine that lost power, finds the old file or the new one and never a part. Without commit()
/// the destructor removes the temporary file. After `kill -9` one may stay; the next writer of
/// the same path takes it over.
///
/// A path that is a symbolic link is followed; an existing file's permissions are kept.
///
/// Every failure (full disk, read-only folder, short write, another writer at work, a path that
/// is a folder or a device) throws std::runtime_error with the path and the system's reason, and
/// leaves nothing behind.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::uint8_t> bytes);
  void commit();

 private:
  [[noreturn]] void fail(const char* what, int error);

  std::filesystem::path path_, temporary_;
  int fd_ = -1;
};

/// AtomicFile in one call.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// A regular file opened for reading at any offset; its size is read once.
/// Throws std::runtime_error with the path and the reason when it cannot be opened or read, is a
/// folder, a pipe or a device, or ends before the bytes that were asked for.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::uint64_t size() const { return size_; }
  void read_at(std::uint64_t offset, std::span<std::uint8_t> bytes) const;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

/// All bytes of a file. Throws std::runtime_error like InputFile, and when the file has more than
/// `max_bytes`: nothing is allocated for a file that is too large.
std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// The same as text.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// SHA-256 (FIPS 180-4), a piece at a time. A checkpoint's manifest keeps its tensor file's hash,
/// so that a changed byte is noticed before it is trained on.
class Sha256 {
 public:
  void update(std::span<const std::uint8_t> bytes);
  /// The hash of everything so far as 64 hexadecimal digits; the object is finished then.
  std::string hex();

 private:
  void block(const std::uint8_t* bytes);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> pending_{};
  std::uint64_t length_ = 0;  // bytes so far
};

/// The hash of a block of bytes, and of a file (read in pieces).
std::string sha256(std::span<const std::uint8_t> bytes);
std::string sha256_file(const std::filesystem::path& path);

}  // namespace boxgrad
