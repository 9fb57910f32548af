#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "detection/data/batch.h"
#include "detection/data/dataset.h"
#include "detection/data/transforms.h"

namespace boxgrad::detection {

struct LoaderOptions {
  int batch_size = 16;
  std::uint64_t seed = 0;            ///< of the order and of the augmentation
  bool shuffle = true;               ///< a new order in every pass over the data
  bool once = false;                 ///< one pass, whose last batch may be smaller; else endless
  std::int64_t start_iteration = 0;  ///< the first batch to deliver, for resuming
  int threads = 1;                   ///< in the background; 0 makes each batch inside next()
  int ahead = 4;                     ///< at most so many batches are ready or being made
  Transform transform = {};          ///< none when empty
  BatchOptions batch = {};
};

/// Makes batches in the background while the network trains on earlier ones.
///
/// Batch i is a pure function of (dataset, options, i), and so the same bits for any number of
/// threads and after resuming: sample number s = i * batch_size + k is image order_e[s mod size]
/// of pass e = s / size, where order_e is a random order drawn from (seed, e), and its
/// augmentation draws from the stream (seed, s). A batch may begin in one pass and end in the next,
/// so that every image is seen equally often.
///
///   Loader loader(dataset, {.batch_size = 8, .transform = augment});
///   while (loader.iteration() < iterations) step(loader.next());
///
/// The dataset must outlive the loader. One thread calls next().
class Loader {
 public:
  /// Throws std::invalid_argument for an empty dataset or options out of range.
  Loader(const Dataset& dataset, LoaderOptions options);
  ~Loader();  ///< waits for the samples being made, not for whole batches
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch. When making it failed, throws std::runtime_error that names iteration, sample
  /// and reason, and again on every later call. Throws std::logic_error when done().
  Batch next();

  /// Number of the batch that next() will return.
  std::int64_t iteration() const { return iteration_; }
  /// Batches of one pass, the last and smaller one included.
  std::int64_t batches_per_pass() const;
  /// Whether all batches of a single pass were delivered; never for an endless loader.
  bool done() const { return options_.once && iteration_ >= batches_per_pass(); }

 private:
  struct Slot {  // a batch that is ready, or why there is none
    Batch batch;
    std::exception_ptr error;
  };

  std::vector<std::int64_t> indices_of(std::int64_t iteration);
  Batch make(std::int64_t iteration, const std::vector<std::int64_t>& indices) const;
  void work();
  void stop();

  const Dataset& dataset_;
  const LoaderOptions options_;
  std::int64_t iteration_;  // of next(); written under mutex_

  std::mutex mutex_;
  std::condition_variable work_allowed_, batch_ready_;
  std::int64_t next_to_make_;           // everything below is guarded by mutex_
  std::map<std::int64_t, Slot> ready_;  // by iteration
  std::int64_t order_pass_ = -1;        // which pass order_ belongs to
  std::vector<std::int64_t> order_;
  bool failed_ = false;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
};

}  // namespace boxgrad::detection
