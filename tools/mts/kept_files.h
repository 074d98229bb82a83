// What files held before a command writes them, until it is sure that all of them could be written.
#pragma once

#include <mts/error.h>

#include <string>
#include <vector>

namespace mts::tool {

// For files that are replaced by renaming: a second link to each older file keeps its content, the files stay
// where they are.
class KeptFiles {
 public:
  // kIo when an older file cannot be kept; then nothing has changed.
  static Result<KeptFiles> keep(const std::vector<std::string>& paths);
  ~KeptFiles();  // forgets what they held
  KeptFiles(KeptFiles&&) noexcept = default;
  KeptFiles& operator=(KeptFiles&&) = delete;
  KeptFiles(const KeptFiles&) = delete;

  // Every path holds again what it held; what was not there is removed.
  void restore();

 private:
  struct File {
    std::string path;
    std::string spare;  // empty: there was none
  };
  KeptFiles() = default;
  std::vector<File> files_;
};

}  // namespace mts::tool
