#include "detection/training/loader.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "core/check.h"
#include "core/parallel.h"
#include "core/random.h"

namespace boxgrad::detection {
namespace {

// Mixed into the seed, so that order, augmentation and rendered scenes draw different numbers.
constexpr std::uint64_t kOrderKey = 0x0DE20DE20DE20DE2;
constexpr std::uint64_t kAugmentKey = 0xA06A06A06A06A06A;

struct Stopped {};  // thrown to leave a batch that nobody waits for any more

}  // namespace

Loader::Loader(const Dataset& dataset, LoaderOptions options)
    : dataset_(dataset),
      options_(std::move(options)),
      iteration_(options_.start_iteration),
      next_to_make_(options_.start_iteration) {
  check(dataset.size() > 0, "Loader: the dataset is empty");
  check(options_.batch_size > 0, "Loader: batch_size must be > 0, got ", options_.batch_size);
  check(options_.threads >= 0 && options_.threads <= 256, "Loader: threads must be in 0..256, got ",
        options_.threads);
  check(options_.ahead > 0, "Loader: ahead must be > 0, got ", options_.ahead);
  check(options_.start_iteration >= 0 && options_.start_iteration < (std::int64_t{1} << 40),
        "Loader: start_iteration must be in 0..2^40, got ", options_.start_iteration);
  check(options_.batch_size < (1 << 20), "Loader: batch_size must be < 2^20, got ",
        options_.batch_size);
  try {
    for (int t = 0; t < options_.threads; ++t) threads_.emplace_back([this] { work(); });
  } catch (...) {  // the system refused a thread: the others must not outlive this object
    stop();
    throw;
  }
}

Loader::~Loader() { stop(); }

void Loader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_allowed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::int64_t Loader::batches_per_pass() const {
  return (dataset_.size() + options_.batch_size - 1) / options_.batch_size;
}

std::vector<std::int64_t> Loader::indices_of(std::int64_t iteration) {
  const std::int64_t size = dataset_.size(), first = iteration * options_.batch_size;
  const std::int64_t end =
      options_.once ? std::min(first + options_.batch_size, size) : first + options_.batch_size;
  std::vector<std::int64_t> indices;
  for (std::int64_t s = first; s < end; ++s) {
    if (options_.shuffle && s / size != order_pass_) {
      order_pass_ = s / size;
      order_ = Random(options_.seed ^ kOrderKey, static_cast<std::uint64_t>(order_pass_))
                   .permutation(size);
    }
    indices.push_back(options_.shuffle ? order_[static_cast<std::size_t>(s % size)] : s % size);
  }
  return indices;
}

Batch Loader::make(std::int64_t iteration, const std::vector<std::int64_t>& indices) const {
  std::vector<Sample> samples;
  std::string at = concat("iteration ", iteration);
  // What a file may be to blame for is told with its place. Lack of memory and mistakes of ours
  // stay what they are: whoever reads the exit status must not look for them in the photos.
  Batch batch;
  const auto error = input_error([&] {
    for (std::size_t k = 0; k < indices.size(); ++k) {
      if (stopping_) throw Stopped{};
      at = concat("iteration ", iteration, ", sample ", indices[k]);
      Sample sample = dataset_.get(indices[k]);
      at += concat(" (", sample.name, ")");
      if (options_.transform) {
        Random random(options_.seed ^ kAugmentKey,
                      static_cast<std::uint64_t>(iteration * options_.batch_size) + k);
        sample = options_.transform(std::move(sample), random);
      }
      samples.push_back(std::move(sample));
    }
    at = concat("iteration ", iteration);
    batch = collate(samples, options_.batch);
  });
  if (error) throw std::runtime_error(concat("Loader: ", at, ": ", *error));
  return batch;
}

void Loader::work() {
  set_flush_to_zero();
  const SerialGuard serial;  // the pool's threads belong to the training step
  std::unique_lock lock(mutex_);
  while (true) {
    work_allowed_.wait(lock, [&] {
      return stopping_ || failed_ || (options_.once && next_to_make_ >= batches_per_pass()) ||
             next_to_make_ < iteration_ + options_.ahead;
    });
    if (stopping_ || failed_ || (options_.once && next_to_make_ >= batches_per_pass())) return;
    const std::int64_t mine = next_to_make_++;
    Slot slot;
    try {
      const std::vector<std::int64_t> indices = indices_of(mine);
      lock.unlock();
      slot.batch = make(mine, indices);
    } catch (const Stopped&) {
      return;
    } catch (...) {
      slot.error = std::current_exception();
    }
    if (!lock.owns_lock()) lock.lock();
    // Earlier batches are already being made, so the failure is met in its turn, after them.
    failed_ = failed_ || slot.error;
    ready_.emplace(mine, std::move(slot));
    batch_ready_.notify_all();
  }
}

Batch Loader::next() {
  if (done()) throw std::logic_error("Loader::next: the pass is over; look at done() first");
  if (options_.threads == 0) {
    Batch batch = make(iteration_, indices_of(iteration_));
    ++iteration_;
    return batch;
  }
  std::unique_lock lock(mutex_);
  batch_ready_.wait(lock, [&] { return ready_.count(iteration_) > 0; });
  Slot& slot = ready_.at(iteration_);
  if (slot.error) std::rethrow_exception(slot.error);
  Batch batch = std::move(slot.batch);
  ready_.erase(iteration_);
  ++iteration_;
  lock.unlock();
  work_allowed_.notify_all();
  return batch;
}

}  // namespace boxgrad::detection
