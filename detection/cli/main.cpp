#include "detection/cli/subcommand.h"

int main(int argc, char** argv) { return boxgrad::detection::run_boxgrad(argc, argv); }
