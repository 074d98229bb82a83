// A fused model beside its originals: which inputs both are run with, and which outputs correspond.
#pragma once

#include "check/inputs.h"
#include "check/mapping.h"

#include <mts/error.h>
#include <mts/graph.h>
#include <mts/tensor.h>

#include <string>
#include <vector>

namespace mts::check {

class Pairing {
 public:
  // The models must outlive the pairing. Errors as of match().
  static Result<Pairing> create(const Model& fused, const std::vector<Model>& originals);

  const std::vector<ModelEntry>& entries() const { return entries_; }  // one an original, in their order

  // The inputs of the fused model with what the originals know about them; their names are aliases.
  std::vector<InputSpec> specs() const;
  // From the inputs of the fused model, those of one original.
  std::vector<Datum> inputs_of(size_t original, const std::vector<Datum>& fused) const;

  const std::string& fused_output(size_t original, size_t position) const;  // its name
  size_t fused_position(const std::string& output) const;

 private:
  const Model* fused_ = nullptr;
  const std::vector<Model>* originals_ = nullptr;
  std::vector<ModelEntry> entries_;
};

}  // namespace mts::check
