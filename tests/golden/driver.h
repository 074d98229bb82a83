// Goldens: textual models before and after a transformation, one case a file.
//
//   // a comment; `// passes: a, b` and the like are directives
//   <ir_version: 8, ...> agraph (...) => (...) { ... }
//   // ---- and ----            (more models before or after)
//   // ---- after ----
//   <...> the expected models; or `// refusal: part of the message`; or `// unchanged`
//
// MTS_UPDATE_GOLDENS=1 in the environment rewrites the part after the separator instead of comparing.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace mts::golden {

struct Case {
  std::string path;
  std::map<std::string, std::string> directives;  // "passes" -> "a, b"
  std::vector<Model> before;                      // named "a", "b", ...
};

using Transform = std::function<Result<void>(Case& golden)>;  // changes the models in place

// All cases of a folder, sorted. Relative to the root of the source tree, where tests run.
std::vector<std::string> cases_in(const std::string& folder);

// Runs one case and reports failures through GoogleTest.
void check(const std::string& path, const Transform& transform);

std::vector<std::string> split_list(const std::string& text);  // at commas, trimmed

}  // namespace mts::golden
