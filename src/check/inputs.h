// The inputs with which a model is run for a check: real ones from a folder, drawn ones for the rest.
#pragma once

#include "check/dimensions.h"
#include "check/draw.h"

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mts::check {

// A value from a .npy file or a .pb file (serialised TensorProto, SequenceProto or OptionalProto, as the
// declared type says), brought to the declared element type where .npy has none of its own (bfloat16 kept as
// uint16, float8 as uint8). kUsage: other type or shape than declared; kModel: malformed; kIo: cannot be
// read.
Result<Datum> load_input(const std::string& path, const std::string& input, const Type& declared);

// A name as a file name: '/' becomes "__".
std::string file_stem(const std::string& name);
// "DIR/stem.npy" or "DIR/stem.pb", whichever is there.
std::optional<std::string> find_input_file(const std::string& directory, const std::string& name);

struct InputSpec {
  std::string name;                  // of the model that is run
  std::vector<std::string> aliases;  // other names under which ranges and files may be given
  Type type;
  Usage usage;
};

struct InputOptions {
  std::map<std::string, std::pair<double, double>> ranges;
  std::map<std::string, std::string> files;  // input -> path
  std::string directory;                     // with files named after inputs
  uint64_t seed = 1;
};

class InputSource {
 public:
  // Loads what there is in the folder. kUsage for a range that belongs to no input, an input that can neither
  // be drawn nor found, or loaded inputs that disagree about a symbol.
  static Result<InputSource> open(std::vector<InputSpec> specs, const InputOptions& options);

  std::vector<std::string> symbols() const;        // of all inputs, loaded ones included
  std::vector<NamedType> undrawn() const;          // inputs whose dimensions still have to be bound
  const Binding& fixed() const { return fixed_; }  // by the sizes of the loaded ones
  // In the order of the specs. Other draws give other numbers, from the second on around another mean.
  Result<std::vector<Datum>> make(const Binding& binding, int draw = 0) const;

 private:
  std::vector<InputSpec> specs_;
  std::vector<std::optional<Datum>> loaded_;
  std::vector<std::optional<std::pair<double, double>>> ranges_;
  Binding fixed_;
  uint64_t seed_ = 1;
};

// The specs of a model that is run by itself.
std::vector<InputSpec> specs_of(const Graph& graph);

}  // namespace mts::check
