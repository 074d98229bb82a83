// One line on the terminal while something takes longer than a second: what is being done, how far it is, for
// how long. Nothing when standard error is no terminal.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace mts::tool {

class Progress {
 public:
  Progress(std::string what, bool quiet);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  // takes the line away again

  void set(std::string what);                             // the next phase
  void set(std::string what, size_t done, size_t total);  // a phase of which the length is known

 private:
  void draw_until_done();
  std::string line(double seconds) const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;
  size_t done_ = 0, total_ = 0;
  bool finished_ = false;
  std::thread thread_;
};

}  // namespace mts::tool
