// Sequences and optionals. An optional is its value, or std::monostate when it is empty.
#include "ref/formats.h"
#include "ref/layout.h"
#include "ref/operators.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

std::vector<Datum> one_datum(Datum datum) {
  std::vector<Datum> result;
  result.push_back(std::move(datum));
  return result;
}

Result<const Sequence*> sequence_at(const Call& c, size_t input) {
  const auto* sequence = std::get_if<Sequence>(&c.datum(input).value);
  if (!sequence) return c.bad(fmt::format("input {} is not a sequence", input));
  return sequence;
}

// A position given by an optional scalar input; `limit` positions are allowed, negative ones count from the
// end `size`.
Result<size_t> position_of(const Call& c, size_t input, size_t size, size_t limit) {
  const Tensor* given = c.opt(input);
  if (!given) return c.bad("its position is not a tensor");
  MTS_ASSIGN(int64_t at, c.scalar_int(*given));
  if (at < 0) at += static_cast<int64_t>(size);
  if (at < 0 || at >= static_cast<int64_t>(limit))
    return c.bad(fmt::format("position {} is not in a sequence of {}", at, size));
  return static_cast<size_t>(at);
}

Outputs sequence_empty(const Call&) { return one_datum(Sequence()); }

Outputs sequence_construct(const Call& c) {
  Sequence sequence;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.has(i)) return c.bad("an input is missing");
    sequence.push_back(c.datum(i));
  }
  return one_datum(std::move(sequence));
}

Outputs sequence_at_op(const Call& c) {
  MTS_ASSIGN(const Sequence* sequence, sequence_at(c, 0));
  MTS_ASSIGN(const size_t at, position_of(c, 1, sequence->size(), sequence->size()));
  return one_datum((*sequence)[at]);
}

Outputs sequence_insert(const Call& c) {
  MTS_ASSIGN(const Sequence* sequence, sequence_at(c, 0));
  size_t at = sequence->size();
  if (c.has(2)) {
    MTS_ASSIGN(at, position_of(c, 2, sequence->size(), sequence->size() + 1));
  }
  Sequence result = *sequence;
  result.insert(result.begin() + static_cast<std::ptrdiff_t>(at), c.datum(1));
  return one_datum(std::move(result));
}

Outputs sequence_erase(const Call& c) {
  MTS_ASSIGN(const Sequence* sequence, sequence_at(c, 0));
  if (sequence->empty()) return c.bad("the sequence is empty");
  size_t at = sequence->size() - 1;
  if (c.has(1)) {
    MTS_ASSIGN(at, position_of(c, 1, sequence->size(), sequence->size()));
  }
  Sequence result = *sequence;
  result.erase(result.begin() + static_cast<std::ptrdiff_t>(at));
  return one_datum(std::move(result));
}

Outputs sequence_length(const Call& c) {
  MTS_ASSIGN(const Sequence* sequence, sequence_at(c, 0));
  const auto length = static_cast<int64_t>(sequence->size());
  return one(Tensor::of<int64_t>(DType::kInt64, {}, std::span(&length, 1)));
}

Outputs split_to_sequence(const Call& c) {
  // Elements of less than a byte are cut one a byte; Trait::kPacked does not reach into a sequence.
  const int bits = bit_width(c.in(0).dtype());
  const bool is_packed = bits > 0 && bits < 8;
  const Tensor x = is_packed ? unpack_bits(c.in(0)) : c.in(0);
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 0), x.dims().size()));
  const int64_t length = x.dims()[axis];
  std::vector<int64_t> sizes(static_cast<size_t>(length), 1);
  const Tensor* split = c.opt(1);
  if (split) {
    MTS_ASSIGN(sizes, c.ints(*split));
    if (split->dims().empty()) {
      const int64_t chunk = sizes[0];
      if (chunk < 1) return c.bad(fmt::format("split is {}", chunk));
      sizes.assign(static_cast<size_t>(length / chunk), chunk);
      if (length % chunk != 0) sizes.push_back(length % chunk);
    }
  }
  Sequence result;
  const Dims strides = strides_of(x.dims());
  int64_t start = 0;
  for (int64_t size : sizes) {
    if (size < 0 || start + size > length) return c.bad("split does not fit the axis");
    Dims dims = x.dims();
    dims[axis] = size;
    Tensor part = copy_strided(x, start * strides[axis], strides, dims);
    if (!split && c.node.int_or("keepdims", 1) == 0) {
      dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(axis));
      part = part.reshaped(dims);
    }
    result.emplace_back(is_packed ? pack_bits(part, c.in(0).dtype()) : std::move(part));
    start += size;
  }
  if (start != length) return c.bad("split does not fit the axis");
  return one_datum(std::move(result));
}

Outputs concat_from_sequence(const Call& c) {
  MTS_ASSIGN(const Sequence* sequence, sequence_at(c, 0));
  if (sequence->empty()) return c.bad("the sequence is empty");
  const bool new_axis = c.node.int_or("new_axis", 0) != 0;
  std::vector<Tensor> parts;
  for (const Datum& element : *sequence) {
    if (!element.tensor() || element.tensor()->dtype() != (*sequence)[0].tensor()->dtype())
      return c.bad("its elements are not tensors of one type");
    parts.push_back(*element.tensor());
  }
  const size_t rank = parts[0].dims().size() + (new_axis ? 1 : 0);
  MTS_ASSIGN(const size_t axis, c.axis(c.node.int_or("axis", 0), rank));
  Dims dims;
  for (Tensor& part : parts) {
    Dims own = part.dims();
    if (new_axis) own.insert(own.begin() + static_cast<std::ptrdiff_t>(std::min(axis, own.size())), 1);
    if (own.size() != rank) return c.bad("its elements have different ranks");
    if (dims.empty()) {
      dims = own;
      dims[axis] = 0;
    }
    for (size_t i = 0; i < rank; ++i) {
      if (i != axis && own[i] != dims[i]) return c.bad("its elements have different shapes");
    }
    dims[axis] += own[axis];
    part = part.reshaped(std::move(own));
  }
  MTS_ASSIGN(Tensor out, c.make(parts[0].dtype(), dims));
  const Split3 s = split_at(dims, axis);
  int64_t offset = 0;
  for (const Tensor& part : parts) {
    const int64_t run = part.dims()[axis] * s.inner;
    for (int64_t o = 0; o < s.outer; ++o)
      copy_elements(part, o * run, out, o * s.length * s.inner + offset, run);
    offset += run;
  }
  return one(std::move(out));
}

Outputs optional(const Call& c) { return one_datum(c.has(0) ? c.datum(0) : Datum()); }

Outputs optional_has_element(const Call& c) {
  Tensor out(DType::kBool, {});
  *out.mutable_as<uint8_t>() = c.has(0) && !std::holds_alternative<std::monostate>(c.datum(0).value);
  return one(std::move(out));
}

Outputs optional_get_element(const Call& c) {
  if (std::holds_alternative<std::monostate>(c.datum(0).value)) return c.bad("the optional is empty");
  return one_datum(c.datum(0));
}

constexpr Operator kTable[] = {
    {"SequenceEmpty", "", 11, kLatest, 0, kAny, sequence_empty},
    {"SequenceConstruct", "", 11, kLatest, 1, kAny, sequence_construct},
    {"SequenceAt", "", 11, kLatest, 2, kAny, sequence_at_op},
    {"SequenceInsert", "", 11, kLatest, 2, kAny, sequence_insert},
    {"SequenceErase", "", 11, kLatest, 1, kAny, sequence_erase},
    {"SequenceLength", "", 11, kLatest, 1, kAny, sequence_length},
    {"SplitToSequence", "", 11, kLatest, 1, kPlain, split_to_sequence},
    {"ConcatFromSequence", "", 11, kLatest, 1, kAny, concat_from_sequence},
    {"Optional", "", 15, kLatest, 0, kAny, optional},
    {"OptionalHasElement", "", 15, kLatest, 0, kAny, optional_has_element},
    {"OptionalGetElement", "", 15, kLatest, 1, kAny, optional_get_element},
};

}  // namespace

std::span<const Operator> sequence_operators() { return kTable; }

}  // namespace mts::ref
