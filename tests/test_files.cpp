#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "core/files.h"
#include "tests/catch.h"

using namespace boxgrad;
namespace fs = std::filesystem;

namespace {

// A folder of its own, removed at the end.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("boxgrad_test_files_" + std::to_string(::getpid()));
  Folder() {
    fs::remove_all(path);
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), {}));
  }
};

}  // namespace

TEST_CASE("write_file_atomically writes and replaces", "[files]") {
  const Folder folder;
  const fs::path file = folder.path / "a.txt";
  write_file_atomically(file, "first");
  CHECK(read_text_file(file, 100) == "first");
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  write_file_atomically(file, "second, longer");
  CHECK(read_text_file(file, 100) == "second, longer");
  CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  write_file_atomically(file, std::string_view());
  CHECK(read_file(file, 0).empty());
  CHECK(folder.entries() == 1);
}

TEST_CASE("AtomicFile without commit leaves the old file", "[files]") {
  const Folder folder;
  const fs::path file = folder.path / "a.txt";
  write_file_atomically(file, "old");
  {
    AtomicFile unfinished(file);
    unfinished.write(as_bytes("half of the n"));
    CHECK_THROWS_WITH(AtomicFile(file),
                      ContainsSubstring("cannot write") && ContainsSubstring("a.txt"));
  }
  CHECK(read_text_file(file, 100) == "old");
  CHECK(folder.entries() == 1);

  AtomicFile done(file);
  done.commit();
  CHECK_THROWS_AS(done.commit(), std::invalid_argument);
  CHECK_THROWS_AS(done.write(as_bytes("x")), std::invalid_argument);
}

TEST_CASE("AtomicFile takes over what a killed writer left", "[files]") {
  const Folder folder;
  std::ofstream(folder.path / "a.txt.tmp") << "longer than what will be written";
  write_file_atomically(folder.path / "a.txt", "new");
  CHECK(read_text_file(folder.path / "a.txt", 100) == "new");
  CHECK(folder.entries() == 1);
}

TEST_CASE("AtomicFile follows links and refuses what is not a file", "[files][errors]") {
  const Folder folder;
  write_file_atomically(folder.path / "real", "1");
  fs::create_symlink("real", folder.path / "link");
  write_file_atomically(folder.path / "link", "2");
  CHECK(fs::is_symlink(folder.path / "link"));
  CHECK(read_text_file(folder.path / "real", 9) == "2");

  fs::create_directory(folder.path / "folder");
  CHECK_THROWS_WITH(write_file_atomically(folder.path / "folder", "x"),
                    ContainsSubstring("not a file"));
  CHECK_THROWS_WITH(write_file_atomically("/dev/null", "x"), ContainsSubstring("not a file"));
  CHECK_THROWS_WITH(write_file_atomically(folder.path / "none" / "a", "x"),
                    ContainsSubstring("none/a") && ContainsSubstring("No such file"));
  CHECK_THROWS_WITH(write_file_atomically(folder.path / "real" / "a", "x"),
                    ContainsSubstring("Not a directory"));
  // A link planted under the temporary name must not redirect the bytes.
  fs::create_symlink("real", folder.path / "b.tmp");
  CHECK_THROWS_AS(write_file_atomically(folder.path / "b", "x"), std::runtime_error);
  CHECK(read_text_file(folder.path / "real", 9) == "2");
}

TEST_CASE("a write that the system cuts short leaves the old file alone", "[files][errors]") {
  const Folder folder;
  const fs::path file = folder.path / "a.bin";
  write_file_atomically(file, "old");
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1000;  // bytes 1 to 1000 are taken, then EFBIG: as a disk that becomes full
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  try {
    write_file_atomically(file, std::string(5000, 'x'));
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK_THAT(message, ContainsSubstring("a.bin") && ContainsSubstring("File too large"));
  CHECK(read_text_file(file, 100) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("read_file has a limit and wants a file", "[files][errors]") {
  const Folder folder;
  write_file_atomically(folder.path / "a", "12345");
  CHECK(read_file(folder.path / "a", 5).size() == 5);
  CHECK_THROWS_WITH(read_file(folder.path / "a", 4), ContainsSubstring("at most 4 are allowed"));
  CHECK_THROWS_WITH(read_file(folder.path / "b", 4), ContainsSubstring("No such file"));
  CHECK_THROWS_WITH(read_file(folder.path, 4), ContainsSubstring("not a file"));
  CHECK_THROWS_WITH(read_file("/dev/zero", 4), ContainsSubstring("not a file"));
  REQUIRE(::mkfifo((folder.path / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(read_file(folder.path / "pipe", 4), ContainsSubstring("not a file"));

  const InputFile file(folder.path / "a");
  std::vector<std::uint8_t> two(2);
  file.read_at(3, two);
  CHECK(two == std::vector<std::uint8_t>{'4', '5'});
  CHECK_THROWS_WITH(file.read_at(4, two), ContainsSubstring("wanted 2 from byte 4"));
  CHECK_THROWS_AS(file.read_at(~std::uint64_t{0}, two), std::runtime_error);
  fs::resize_file(folder.path / "a", 2);
  CHECK_THROWS_WITH(file.read_at(3, two), ContainsSubstring("shorter"));
}

TEST_CASE("sha256 equals the examples of FIPS 180", "[files]") {
  CHECK(sha256(as_bytes("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256(as_bytes("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(as_bytes(std::string(1000000, 'a'))) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256 does not depend on how the bytes are cut", "[files]") {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (std::size_t n : {55, 56, 57, 63, 64, 65, 119, 120, 128, 300}) {
    const std::string part = text.substr(0, n);
    Sha256 bytewise;
    for (const char& c : part) bytewise.update(as_bytes(std::string_view(&c, 1)));
    CHECK(bytewise.hex() == sha256(as_bytes(part)));
  }
  write_file_atomically(folder.path / "a", text);
  CHECK(sha256_file(folder.path / "a") == sha256(as_bytes(text)));
}
