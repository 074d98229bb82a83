// Numeric and structural verification of a fused model against its originals.
#pragma once

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mts {

class Session;
// How verify runs models: passed in from above, so that checking does not depend on an executor.
using SessionFactory = std::function<Result<std::unique_ptr<Session>>(const Model&)>;

// Largest allowed max|error| / max|reference| per dtype of an output: the one table of tolerances (see `mts
// --help`).
double tolerance_of(DType dtype);

struct OutputDifference {
  std::string output;  // name in the fused model: "a/logits"
  bool passed = false;
  double error = 0;  // relative to the largest magnitude of the reference output; 0 when equal
  double tolerance = 0;
  std::string
      reason;  // when not passed: "error above tolerance", "shape [2,3] != [2,4]", "NaN at other places", ...
};
// Compares one output. Integers, booleans and strings must be equal (an index may differ only where values
// tie); NaN and infinities must be at the same places.
OutputDifference compare(std::string output, const Datum& reference, const Datum& fused);

struct VerifyOptions {
  std::vector<std::map<std::string, int64_t>>
      bindings;                         // of symbolic dims; empty: several defaults are tried
  std::map<std::string, int64_t> dims;  // --dim N=4: fixes a symbol in all bindings
  std::map<std::string, std::pair<double, double>>
      ranges;                    // --range ids=0:100, by fused or original input name
  std::string inputs_directory;  // --inputs DIR: real ones (.npy, .pb) by input name
  uint64_t seed = 1;
  // A fused model that is run in less precision than it has: the tolerance of that precision, where it is
  // above an output's own (floats only), and what runs the originals in their full precision. Empty: as the
  // fused model.
  double tolerance = 0;
  SessionFactory original_sessions = {};
};
struct VerifyReport {
  struct Structural {
    std::string check;
    bool passed = false;
    bool enforced = true;
    std::string detail{};
  };
  struct Run {
    std::map<std::string, int64_t> binding;
    std::vector<OutputDifference> outputs;
  };
  std::vector<Structural> structural;  // no duplicated weight, standard domains, onnx checker, names
  std::vector<Run> runs;
  std::vector<std::string>
      warnings;  // what makes the check weaker: sizes that no original runs with, constant outputs
  bool passed() const;
};
// Which fused input feeds which input of which original is read from the fused model's metadata and names.
Result<VerifyReport> verify(const Model& fused, const std::vector<Model>& originals,
                            const SessionFactory& sessions, const VerifyOptions& options = {});

}  // namespace mts
