// External data of one model: files beside it, mapped once each. ONNX's own checks decide which locations are
// allowed: no absolute paths, no "..", no symbolic or hard links, nothing outside the model's folder.
#pragma once

#include "base/mmap.h"

#include <mts/error.h>
#include <mts/weight.h>

#include <map>
#include <memory>
#include <string>

namespace onnx {
class TensorProto;
}

namespace mts::onnxio {

class ExternalFiles {
 public:
  // `directory` of the model; empty when the model lies in memory, so that external data is refused.
  explicit ExternalFiles(std::string directory) : directory_(std::move(directory)) {}

  // The bytes that the tensor's external_data names. A missing length means `expected` bytes.
  Result<Bytes> find(const onnx::TensorProto& tensor, uint64_t expected);

 private:
  Result<std::shared_ptr<const MappedFile>> open(const std::string& location, const std::string& tensor);

  std::string directory_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
};

}  // namespace mts::onnxio
