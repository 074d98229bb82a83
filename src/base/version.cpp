#include <mts/version.h>

namespace mts {

std::string_view version() noexcept { return MTS_VERSION; }

}  // namespace mts
