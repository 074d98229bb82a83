#include "stitch/tune_cache.h"

#include "base/log.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

namespace mts {

std::string cache_path(const std::string& folder, const std::string& key) {
  const XXH128_hash_t digest = XXH3_128bits(key.data(), key.size());
  return (std::filesystem::path(folder) / fmt::format("{:016x}{:016x}.json", digest.high64, digest.low64))
      .string();
}

std::string cached_text(const std::string& file) {
  if (file.empty()) return {};
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void keep_cached(const std::string& file, const std::string& text) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
  const std::string temporary = fmt::format("{}.tmp{}", file, ::getpid());
  std::ofstream(temporary, std::ios::binary) << text;
  std::filesystem::rename(temporary, file, error);
  if (error) log::warn("the result of tuning cannot be cached in {}: {}", file, error.message());
}

}  // namespace mts
