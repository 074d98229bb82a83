#include <mts/error.h>

namespace mts {

std::string Error::to_string() const {
  std::string text;
  for (const std::string* part : {&where.file, &where.node, &where.value})
    if (!part->empty()) text += *part + ": ";
  return text + message;
}

}  // namespace mts
