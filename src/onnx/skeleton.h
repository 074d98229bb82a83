// Models without their weights.
//
// collapse: ModelProto bytes of any size -> the same message in which the payload (raw_data or packed typed
// data) of every TensorProto over 1 KB is replaced by a marker, and where these payloads lie. Initializers,
// attributes, subgraphs and functions are covered at any depth; sparse tensors and training graphs, which mts
// keeps as they are, are not. expand: the way back: a skeleton and, for each marker, bytes to be streamed in
// its place.
//
// A marker is an external_data entry with the key kMarkerKey (data_location stays DEFAULT), so it survives
// whatever ONNX does with a TensorProto (inlining, version conversion, copying).
#pragma once

#include "onnx/wire.h"

#include <mts/error.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace mts::onnxio {

inline constexpr std::string_view kMarkerKey = "mts.payload";
inline constexpr size_t kSmallTensor = 1024;  // bytes: smaller tensors stay where they are

// Field numbers of TensorProto.
namespace tensor_field {
inline constexpr uint32_t kFloat = 4, kInt32 = 5, kString = 6, kInt64 = 7, kRaw = 9, kDouble = 10,
                          kUint64 = 11, kExternal = 13;
}

// Where the content of a tensor lies: pieces of one field, to be read one after another.
struct Payload {
  uint32_t field = tensor_field::kRaw;
  std::vector<ByteSpan> pieces;
};

struct Skeleton {
  std::string bytes;  // a ModelProto
  std::vector<Payload> payloads;
};

// kModel when the data is not well-formed protobuf, or nested deeper than 100 messages.
Result<Skeleton> collapse(ByteSpan model);

// An expanded model as a list of pieces: bytes of the skeleton and, after some of them, a payload.
class Expansion {
 public:
  // `size_of(marker)` gives the bytes of a payload. The skeleton must outlive the expansion. Its markers must
  // be valid.
  Expansion(const std::string& skeleton, const std::function<uint64_t(size_t)>& size_of);

  uint64_t size() const { return size_; }
  // Calls `text` with literal bytes and `payload` with the index of a marker, in file order; stops on the
  // first error.
  Result<void> write(const std::function<Result<void>(std::string_view)>& text,
                     const std::function<Result<void>(size_t)>& payload) const;

 private:
  struct Piece {
    std::string text;
    int64_t payload = -1;  // after the text
  };
  std::vector<Piece> pieces_;
  uint64_t size_ = 0;
};

}  // namespace mts::onnxio
