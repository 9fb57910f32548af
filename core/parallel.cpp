#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "core/check.h"

namespace boxgrad {

void set_flush_to_zero() {
#if defined(__SSE__)
  _mm_setcsr(_mm_getcsr() | 0x8040);  // FTZ (results) and DAZ (operands)
#endif
}

namespace {

constexpr int kMaxThreads = 256;
thread_local bool serial = false;

void pause_cpu() {
#if defined(__SSE__)
  _mm_pause();
#endif
}

/// One parallel_for in flight.
struct Job {
  std::int64_t n = 0, grain = 1;
  void* body = nullptr;
  detail::ChunkBody call = nullptr;
  std::atomic<std::int64_t> next{0};  ///< start of the next chunk that nobody has taken
  std::mutex error_mutex;
  std::exception_ptr error;
};

void work_on(Job& job) {
  const bool before = serial;
  serial = true;
  while (true) {
    const std::int64_t begin = job.next.fetch_add(job.grain, std::memory_order_relaxed);
    if (begin >= job.n) break;
    try {
      job.call(job.body, begin, std::min(begin + job.grain, job.n));
    } catch (...) {
      const std::lock_guard lock(job.error_mutex);
      if (!job.error) job.error = std::current_exception();
      job.next = job.n;  // the other chunks are not worth starting
    }
  }
  serial = before;
}

/// Sleeping threads that help whoever posts a job. One job at a time: a second thread that wants
/// to run one meanwhile simply works alone, with the same chunks and so the same results.
class Pool {
 public:
  ~Pool() {
    stop_ = true;
    wake();
    for (std::thread& worker : workers_) worker.join();
  }

  bool try_run(Job& job, int threads) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    while (static_cast<int>(workers_.size()) < threads - 1)
      workers_.emplace_back([this, index = static_cast<int>(workers_.size())] { loop(index); });
    helpers_ = threads - 1;
    job_ = &job;
    open_ = true;
    wake();
    work_on(job);
    // A worker first counts itself in, then looks whether the job is open; we first close it, then
    // wait for the count to drop. Whatever the interleaving, nobody touches `job` afterwards.
    open_ = false;
    // Spinning is quickest while everybody runs; with more threads than cores the one we wait for
    // may need ours.
    for (int spin = 0; inside_ != 0; ++spin) {
      if (spin < 1000)
        pause_cpu();
      else
        std::this_thread::yield();
    }
    return true;
  }

 private:
  void wake() {
    ++generation_;
    generation_.notify_all();
  }

  void loop(int index) {
    set_flush_to_zero();
    std::uint32_t seen = 0;
    while (true) {
      // Layers follow each other within microseconds while a network runs, so spin briefly
      // before asking the kernel to wake us later.
      for (int spin = 0; spin < 2000 && generation_ == seen; ++spin) pause_cpu();
      generation_.wait(seen);
      seen = generation_;
      if (stop_) return;
      ++inside_;
      if (open_ && index < helpers_) work_on(*job_);
      --inside_;
    }
  }

  std::mutex mutex_;
  std::vector<std::thread> workers_;
  std::atomic<std::uint32_t> generation_{0};
  std::atomic<bool> stop_{false}, open_{false};
  std::atomic<int> inside_{0}, helpers_{0};
  std::atomic<Job*> job_{nullptr};
};

int threads_from_environment() {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const char* text = std::getenv("BOXGRAD_THREADS");
  if (text == nullptr || *text == '\0') return std::min(cores, kMaxThreads);
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  check(*end == '\0' && n >= 1 && n <= kMaxThreads, "BOXGRAD_THREADS must be a number from 1 to ",
        kMaxThreads, ", got \"", text, "\"");
  return static_cast<int>(n);
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count = threads_from_environment();
  return count;
}

// Runs before main on the main thread; the pool's threads set theirs as they start.
[[maybe_unused]] const bool main_thread_flushes = (set_flush_to_zero(), true);

}  // namespace

int num_threads() { return thread_count(); }

void set_num_threads(int n) {
  check(n >= 1 && n <= kMaxThreads, "set_num_threads: n must be from 1 to ", kMaxThreads, ", got ",
        n);
  thread_count() = n;
}

bool in_parallel_region() { return serial; }

SerialGuard::SerialGuard() : before_(serial) { serial = true; }
SerialGuard::~SerialGuard() { serial = before_; }

void detail::run_chunks(std::int64_t n, std::int64_t grain, void* body, ChunkBody call) {
  if (n <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t chunks = (n + grain - 1) / grain;
  const int threads = static_cast<int>(std::min<std::int64_t>(num_threads(), chunks));
  if (threads > 1 && !serial) {
    static Pool pool;
    Job job;
    job.n = n;
    job.grain = grain;
    job.body = body;
    job.call = call;
    if (pool.try_run(job, threads)) {
      if (job.error) std::rethrow_exception(job.error);
      return;
    }
  }
  for (std::int64_t begin = 0; begin < n; begin += grain)
    call(body, begin, std::min(begin + grain, n));
}

}  // namespace boxgrad
