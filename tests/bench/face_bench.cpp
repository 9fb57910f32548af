// Times the pretrained face detector (detection/models/face_ssd.h) as face_bench.py wants it: CSV.
#include <cstdio>

#include "core/autograd.h"
#include "core/parallel.h"
#include "core/peaks.h"
#include "core/program.h"
#include "detection/models/face_ssd.h"
#include "layers/inference.h"

using namespace boxgrad;
using namespace boxgrad::detection;

int main(int argc, char** argv) {
  Program program({.name = "face_bench",
                   .about = "Milliseconds of the pretrained face detector for one photo.",
                   .threads = false,
                   .out = false,
                   .quick = false,
                   .data_on_stdout = true});
  std::filesystem::path package = "out/face-api/package";
  std::vector<int> threads{1, 2};
  double budget_s = 1;
  program.option("--package", package, "the unpacked npm package (make faces)");
  program.option("--threads", threads, "numbers of threads to measure", 1, 256);
  program.option("--budget", budget_s, "seconds for each figure", 0.01);
  return program.run(argc, argv, [&] {
    const NoGradGuard no_grad;
    const Image photo(1920, 1280, 90, 120, 150);
    const FaceInput input = face_input(photo);
    const auto loaded = load_face_ssd(package), ready = load_face_ssd(package);
    nn::prepare_for_inference(*ready);
    std::printf("name,threads,ms\n");
    for (const int count : threads) {
      set_num_threads(count);
      const auto time = [&](const char* name, const std::function<void()>& run) {
        std::printf("%s,%d,%.3f\n", name, count, 1e3 * shortest_s(budget_s, run));
        std::fflush(stdout);
      };
      time("network", [&] { loaded->heads(input.image); });
      time("network_folded", [&] { ready->heads(input.image); });
      time("photo_to_input", [&] { face_input(photo); });
      time("answers_to_faces",
           [&, heads = ready->heads(input.image)] { faces_from(heads, input); });
    }
  });
}
