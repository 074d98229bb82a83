// Results of tuning on disk: a folder of small JSON files, named by a digest of what they hold for.
#pragma once

#include <string>

namespace mts {

std::string cache_path(const std::string& folder, const std::string& key);
// Empty when there is none, or no `file`: a cache that cannot be read is no error.
std::string cached_text(const std::string& file);
// All of it or nothing, also beside other processes; a warning when it cannot be written.
void keep_cached(const std::string& file, const std::string& text);

}  // namespace mts
