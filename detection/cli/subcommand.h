#pragma once

#include <string>
#include <vector>

/// The `boxgrad` command: one file a subcommand, each a small program with a frame of its own
/// (core/program.h), so that `boxgrad train --help` speaks of training alone.
namespace boxgrad::detection {

/// A row of the table in subcommand.cpp.
struct Subcommand {
  const char* name;                   ///< "train"
  const char* about;                  ///< half a line for `boxgrad --help`
  int (*run)(int argc, char** argv);  ///< argv[0] is the subcommand's name; returns exit status
};

/// All of them, in the order in which a user meets them.
const std::vector<Subcommand>& subcommands();

/// What main() does: finds the subcommand that argv[1] names and runs it. Without one, or with
/// --help, it prints the list with examples. Returns the exit status: 0 when it worked, 1 after a
/// user's mistake, 2 after one of ours; a failure is one line on stderr that starts with "error: ".
int run_boxgrad(int argc, char** argv);

// Each in the file of its name.
int run_doctor(int argc, char** argv);
int run_train(int argc, char** argv);
int run_eval(int argc, char** argv);
int run_detect(int argc, char** argv);
int run_compress(int argc, char** argv);
int run_info(int argc, char** argv);

}  // namespace boxgrad::detection
