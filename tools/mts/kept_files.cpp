#include "kept_files.h"

#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

namespace mts::tool {

namespace fs = std::filesystem;

Result<KeptFiles> KeptFiles::keep(const std::vector<std::string>& paths) {
  KeptFiles kept;
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::file_type type = fs::symlink_status(path, error).type();
    if (type == fs::file_type::not_found) kept.files_.push_back({path, {}});
    if (type != fs::file_type::regular && type != fs::file_type::symlink) continue;
    const fs::path target(path);
    const std::string spare =
        (target.parent_path() / fmt::format(".{}.{}.old", target.filename().string(), ::getpid())).string();
    fs::remove(spare, error);  // of a process that died
    fs::create_hard_link(path, spare, error);
    if (error) fs::copy_file(path, spare, error);  // where there are no links
    if (error)
      return fail(ErrorCode::kIo,
                  fmt::format("the file cannot be kept while it is replaced: {}", error.message()),
                  {path, {}, {}});
    kept.files_.push_back({path, spare});
  }
  return kept;
}

KeptFiles::~KeptFiles() {
  std::error_code ignored;
  for (const File& file : files_)
    if (!file.spare.empty()) fs::remove(file.spare, ignored);
}

void KeptFiles::restore() {
  std::error_code ignored;
  for (File& file : files_) {
    if (file.spare.empty()) {
      fs::remove(file.path, ignored);
    } else if (!fs::equivalent(file.spare, file.path, ignored)) {
      fs::rename(file.spare, file.path, ignored);
    }
  }
}

}  // namespace mts::tool
