#include "core/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "core/check.h"

namespace boxgrad {

namespace {

// One system call moves at most 2 GiB, and a smaller piece keeps a signal's wait short.
constexpr std::size_t kPiece = std::size_t{1} << 26;

[[noreturn]] void fail_file(const std::filesystem::path& path, const char* what, int error) {
  throw std::runtime_error(concat(what, " ", path, ": ", std::generic_category().message(error)));
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Opens the temporary file empty and ours alone. Its name is fixed, so that what `kill -9` left is
// taken over instead of piling up; the lock keeps two writers of one path apart. Between open and
// lock the other writer may have renamed the file to its final name: then it is no longer ours to
// truncate, and we open again.
int open_temporary(const std::filesystem::path& temporary) {
  while (true) {
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return -1;
    int error = 0;
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) error = EBUSY;
    struct stat opened {
    }, named{};
    if (!error && ::fstat(fd, &opened) != 0) error = errno;
    if (!error && !S_ISREG(opened.st_mode)) error = EEXIST;
    if (!error && (::lstat(temporary.c_str(), &named) != 0 || !same_file(opened, named))) {
      ::close(fd);
      continue;
    }
    if (!error && ::ftruncate(fd, 0) != 0) error = errno;
    if (!error) return fd;
    ::close(fd);
    errno = error;
    return -1;
  }
}

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path) {
  std::error_code error;
  if (std::filesystem::is_symlink(path, error)) {
    path_ = std::filesystem::canonical(path, error);
    if (error) throw std::runtime_error(concat("cannot write ", path, ": ", error.message()));
  }
  struct stat before {};
  const bool exists = ::stat(path_.c_str(), &before) == 0;
  if (exists && !S_ISREG(before.st_mode))
    throw std::runtime_error(concat("cannot write ", path, ": it exists and is not a file"));
  temporary_ = path_;
  temporary_ += ".tmp";
  fd_ = open_temporary(temporary_);
  if (fd_ < 0) fail_file(path_, "cannot write", errno);
  if (exists && ::fchmod(fd_, before.st_mode & 07777) != 0) fail("cannot write", errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::unlink(temporary_.c_str());  // before close: until then the lock says that the name is ours
  ::close(fd_);
}

void AtomicFile::fail(const char* what, int error) {
  if (fd_ >= 0) {
    ::unlink(temporary_.c_str());
    ::close(fd_);
    fd_ = -1;
  }
  fail_file(path_, what, error);
}

void AtomicFile::write(std::span<const std::uint8_t> bytes) {
  check(fd_ >= 0, "AtomicFile::write: ", path_, " is already committed or failed");
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_, bytes.data(), std::min(bytes.size(), kPiece));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write", errno);
    if (written == 0) fail("cannot write", EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit() {
  check(fd_ >= 0, "AtomicFile::commit: ", path_, " is already committed or failed");
  if (::fsync(fd_) != 0) fail("cannot write", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot write", errno);
  const int closed = ::close(fd_);
  fd_ = -1;
  if (closed != 0 && errno != EINTR) fail_file(path_, "cannot write", errno);

  // The new name itself lives in the folder. Some file systems cannot sync one and say EINVAL.
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0) return;  // a folder that may be written but not read
  const int error = ::fsync(folder_fd) != 0 ? errno : 0;
  ::close(folder_fd);
  if (error != 0 && error != EINVAL && error != ENOTSUP)
    fail_file(folder, "cannot bring to the disk the folder", error);
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, as_bytes(text));
}

InputFile::InputFile(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) fail_file(path, "cannot open", errno);
  struct stat status {};
  const int error = ::fstat(fd_, &status) != 0 ? errno : 0;
  if (error != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd_);
    if (error != 0) fail_file(path, "cannot open", error);
    throw std::runtime_error(concat("cannot open ", path, ": it is not a file"));
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() { ::close(fd_); }

void InputFile::read_at(std::uint64_t offset, std::span<std::uint8_t> bytes) const {
  if (offset > size_ || bytes.size() > size_ - offset)
    throw std::runtime_error(concat("cannot read ", path_, ": it has ", size_, " bytes, wanted ",
                                    bytes.size(), " from byte ", offset));
  while (!bytes.empty()) {
    const ssize_t got =
        ::pread(fd_, bytes.data(), std::min(bytes.size(), kPiece), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_file(path_, "cannot read", errno);
    if (got == 0) throw std::runtime_error(concat("cannot read ", path_, ": it became shorter"));
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

namespace {

template <class Container>
Container read_all(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const InputFile file(path);
  if (file.size() > max_bytes)
    throw std::runtime_error(concat("cannot read ", path, ": it has ", file.size(),
                                    " bytes, at most ", max_bytes, " are allowed"));
  Container bytes(static_cast<std::size_t>(file.size()), 0);
  file.read_at(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

}  // namespace

std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_all<std::vector<std::uint8_t>>(path, max_bytes);
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_all<std::string>(path, max_bytes);
}

// --- SHA-256 ------------------------------------------------------------------------------

namespace {

// FIPS 180-4 section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the
// first 64 primes.
constexpr std::array<std::uint32_t, 64> kRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

}  // namespace

// Section 6.2.2: the message schedule w, then 64 rounds over the working variables a to h.
void Sha256::block(const std::uint8_t* bytes) {
  std::array<std::uint32_t, 64> w;
  for (std::size_t t = 0; t < 16; ++t)
    w[t] = std::uint32_t{bytes[4 * t]} << 24 | std::uint32_t{bytes[4 * t + 1]} << 16 |
           std::uint32_t{bytes[4 * t + 2]} << 8 | std::uint32_t{bytes[4 * t + 3]};
  for (std::size_t t = 16; t < 64; ++t) {
    const std::uint32_t x = w[t - 15], y = w[t - 2];
    w[t] = w[t - 16] + (std::rotr(x, 7) ^ std::rotr(x, 18) ^ (x >> 3)) + w[t - 7] +
           (std::rotr(y, 17) ^ std::rotr(y, 19) ^ (y >> 10));
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (std::size_t t = 0; t < 64; ++t) {
    const std::uint32_t t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                             ((e & f) ^ (~e & g)) + kRound[t] + w[t];
    const std::uint32_t t2 =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  const std::array<std::uint32_t, 8> added = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < 8; ++i) state_[i] += added[i];
}

void Sha256::update(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const std::size_t used = length_ % 64;
    if (used == 0 && bytes.size() >= 64) {
      block(bytes.data());
      length_ += 64;
      bytes = bytes.subspan(64);
      continue;
    }
    const std::size_t n = std::min(64 - used, bytes.size());
    std::memcpy(pending_.data() + used, bytes.data(), n);
    length_ += n;
    bytes = bytes.subspan(n);
    if (length_ % 64 == 0) block(pending_.data());
  }
}

std::string Sha256::hex() {
  // Section 5.1.1: a one bit, zeros, and the length in bits as the last 8 bytes of a block.
  const std::uint64_t bits = length_ * 8;
  const std::array<std::uint8_t, 64> padding = {0x80};
  const std::size_t used = length_ % 64;
  update(std::span(padding).first((used < 56 ? 56 : 120) - used));
  std::array<std::uint8_t, 8> tail;
  for (std::size_t i = 0; i < 8; ++i) tail[i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
  update(tail);
  std::string text;
  for (const std::uint32_t word : state_)
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[word >> shift & 15];
  return text;
}

std::string sha256(std::span<const std::uint8_t> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  const InputFile file(path);
  std::vector<std::uint8_t> piece(std::size_t{1} << 18);
  Sha256 hash;
  for (std::uint64_t at = 0; at < file.size();) {
    const std::size_t n =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), file.size() - at));
    file.read_at(at, std::span(piece).first(n));
    hash.update(std::span(piece).first(n));
    at += n;
  }
  return hash.hex();
}

}  // namespace boxgrad
